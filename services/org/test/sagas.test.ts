import { randomUUID } from 'node:crypto';
import { reasonOf } from '@silo/errors/from-status.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { TryResult } from '@silo/protos/gen/silo/project/internal/v1/slot_service.ts';
import { bind } from '@silo/rpc/test/bind.ts';
import { isWellFormed } from '@silo/tokens/secrets.ts';
import test from 'ava';
import { createAccount } from '../handlers/create-account.ts';
import { createOrganization } from '../handlers/create-organization.ts';
import { deleteOrganization } from '../handlers/delete-organization.ts';
import { createAccount as staffCreateAccount } from '../handlers/internal/staff.ts';
import { serviceHarness } from './service-support.ts';
import { aMembership } from './support.ts';

function signUpRequest(email = 'ada@example.com', requestId: string = randomUUID()) {
  return { email, displayName: 'Ada', organizationName: 'Acme', requestId };
}

test('a new account has an organization, project, token and key, and events in causal order', async (t) => {
  const { dependencies, call, peers, emittedEvents, stores, signal } = await serviceHarness(t);
  const request = signUpRequest();
  const answer = await bind(createAccount, dependencies)(request, call(request));
  t.is(answer.account?.email, 'ada@example.com');
  t.is(answer.organization?.name, 'Acme');
  t.is(answer.organization?.level, 3);
  t.true(isWellFormed(answer.projectToken, 'phc_'));
  t.true(isWellFormed(answer.apiKey, 'phx_'));
  const steps = ['openSubscription', 'openSlots', 'makeProjectToken', 'storeApiKey'];
  t.deepEqual(peers.calls, steps);
  t.deepEqual(await emittedEvents(), ['account_created', 'organization_created', 'member_added']);
  const { id: accountId = '' } = answer.account ?? {};
  const { id: organizationId = '' } = answer.organization ?? {};
  t.is(await stores.members.readFact(accountId, organizationId, signal), 3);
});

test('a repeated request returns the same response and key, even if both run concurrently', async (t) => {
  const { dependencies, call, emittedEvents } = await serviceHarness(t);
  const create = bind(createAccount, dependencies);
  const request = signUpRequest();
  const [first, ...others] = await Promise.all([1, 2, 3].map(() => create(request, call(request))));
  for (const other of others) t.deepEqual(other, first);
  t.deepEqual(await create(request, call(request)), first);
  t.is((await emittedEvents()).filter((event) => event === 'account_created').length, 1);
});

test('an e-mail that is taken, in any case, is refused', async (t) => {
  const { dependencies, call, emittedEvents } = await serviceHarness(t);
  const create = bind(createAccount, dependencies);
  const outcomes = await Promise.allSettled(
    ['ada@example.com', 'ADA@example.com', 'Ada@Example.com'].map((email) => {
      const request = signUpRequest(email);
      return create(request, call(request));
    }),
  );
  const refused = outcomes.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
  t.deepEqual(refused.map(reasonOf), ['EMAIL_TAKEN', 'EMAIL_TAKEN']);
  t.is((await emittedEvents()).filter((event) => event === 'account_created').length, 1);
});

test('if sign-up is closed, only staff can create accounts', async (t) => {
  const { dependencies, call } = await serviceHarness(t, { signup: 'closed' });
  const request = signUpRequest();
  const error = await t.throwsAsync(bind(createAccount, dependencies)(request, call(request)));
  t.is(reasonOf(error), 'SIGNUP_CLOSED');
  const staffCall = call({ ...request, staff: true });
  const answer = await bind(staffCreateAccount, dependencies)({ account: request }, staffCall);
  t.is(answer.account?.account?.email, request.email);
});

test('the database contains no API key and no request id', async (t) => {
  const { dependencies, call, connection } = await serviceHarness(t);
  const request = signUpRequest();
  const { apiKey } = await bind(createAccount, dependencies)(request, call(request));
  const collections = await connection.db.listCollections().toArray();
  t.true(collections.length > 5);
  for (const { name } of collections) {
    const text = JSON.stringify(await connection.db.collection(name).find().toArray());
    t.false(text.includes(apiKey), name);
    t.false(text.includes(request.requestId), name);
  }
});

test('a further organization of an account has its own project and token', async (t) => {
  const { dependencies, call, signUp, peers } = await serviceHarness(t);
  const { accountId, organizationId } = await signUp('ada@example.com');
  peers.calls.length = 0;
  const options = { accountId, requestId: 'again' };
  const create = bind(createOrganization, dependencies);
  const answer = await create({ name: 'Second', requestId: 'again' }, call(options));
  t.not(answer.organization?.id, organizationId);
  t.true(isWellFormed(answer.projectToken, 'phc_'));
  t.deepEqual(peers.calls, ['openSubscription', 'openSlots', 'makeProjectToken']);
  t.deepEqual(await create({ name: 'Second', requestId: 'again' }, call(options)), answer);
});

test('deleting an organization ends every membership and invite with one event', async (t) => {
  const { dependencies, call, signUp, peers, stores, signal, emittedEvents } =
    await serviceHarness(t);
  const { accountId, organizationId } = await signUp('ada@example.com');
  const other = await signUp('bob@example.com');
  const remove = bind(deleteOrganization, dependencies);
  const options = { accountId, requestId: 'delete' };
  const request = { organizationId, etag: '', requestId: 'delete', endDeletedProjects: false };
  t.deepEqual(await remove(request, call(options)), {});
  t.is(await stores.organizations.readFact(organizationId, signal), undefined);
  t.is(await stores.members.readFact(accountId, organizationId, signal), undefined);
  t.is(peers.calls.at(-1), 'closeSubscription');
  t.is((await emittedEvents()).at(-1), 'organization_deleted');
  t.deepEqual(await remove(request, call(options)), {}, 'a repeat gets the same response');
  const late = await t.throwsAsync(remove(request, call({ accountId })));
  t.is(reasonOf(late), 'ORGANIZATION_NOT_FOUND');
  t.is(await stores.members.readFact(other.accountId, other.organizationId, signal), 3);
});

test('a deletion removes many memberships in batches', async (t) => {
  const { dependencies, call, signUp, connection, emittedEvents } = await serviceHarness(t);
  const { db } = connection;
  const { accountId, organizationId } = await signUp('ada@example.com');
  const memberships = db.collection<{ _id: string }>('memberships');
  const joined = Array.from({ length: 12_000 }, (_, index) => {
    const member = aMembership(`acc_${index}`, organizationId, Level.LEVEL_MEMBER, index);
    return { _id: `${member.accountId}/${organizationId}`, ...member };
  });
  await memberships.insertMany(joined);
  // Each oplog entry contains the ids of its batch. The default size of 1 MB has no room for all of
  // them.
  await db.createCollection('system.profile', { capped: true, size: 64 * 1024 * 1024 });
  await db.command({ profile: 2 });
  const request = { organizationId, etag: '', requestId: '', endDeletedProjects: false };
  t.deepEqual(await bind(deleteOrganization, dependencies)(request, call({ accountId })), {});
  await db.command({ profile: 0 });
  t.is(await memberships.countDocuments({ organizationId }), 0);
  t.is((await emittedEvents()).filter((event) => event === 'organization_deleted').length, 1);
  const removals = await db
    .collection<{ ndeleted: number }>('system.profile')
    .find({ op: 'remove', ns: memberships.namespace })
    .toArray();
  t.is(
    removals.reduce((sum, { ndeleted }) => sum + ndeleted, 0),
    joined.length + 1,
  );
  t.true(removals.every(({ ndeleted }) => ndeleted <= 1_000));
});

test('a refused deletion returns the reason, changes nothing, and is not remembered', async (t) => {
  const { dependencies, call, signUp, peers, stores, signal, emittedEvents } =
    await serviceHarness(t);
  const { accountId, organizationId } = await signUp('ada@example.com');
  const remove = bind(deleteOrganization, dependencies);
  const options = { accountId, requestId: 'delete' };
  const request = { organizationId, etag: '', requestId: 'delete', endDeletedProjects: false };
  peers.closeResult = TryResult.TRY_RESULT_REFUSED_COUNT;
  peers.projectCount = 2;
  const refused = await t.throwsAsync(remove(request, call(options)));
  t.is(reasonOf(refused), 'ORGANIZATION_NOT_EMPTY');
  t.true(refused?.message.includes('2'));
  t.not(await stores.organizations.readFact(organizationId, signal), undefined);
  t.false((await emittedEvents()).includes('organization_deleted'));
  peers.closeResult = TryResult.TRY_RESULT_ACCEPTED;
  t.deepEqual(await remove(request, call(options)), {});
});

test('a conditional change with a result that only a newer release knows is sent again', async (t) => {
  const { dependencies, call, signUp, peers } = await serviceHarness(t);
  const { accountId, organizationId } = await signUp('ada@example.com');
  peers.closeResult = 987 as TryResult;
  let calls = 0;
  peers.beforeTry = async () => {
    calls++;
    if (calls > 1) peers.closeResult = TryResult.TRY_RESULT_ACCEPTED;
  };
  const request = { organizationId, etag: '', requestId: '', endDeletedProjects: false };
  t.deepEqual(await bind(deleteOrganization, dependencies)(request, call({ accountId })), {});
  t.is(calls, 2);
});

test('a deletion whose caller lost access before the conditional change gets the usual refusal', async (t) => {
  const { dependencies, call, signUp, peers } = await serviceHarness(t);
  const { accountId, organizationId } = await signUp('ada@example.com');
  peers.closeResult = TryResult.TRY_RESULT_REFUSED_ACCESS;
  const request = { organizationId, etag: '', requestId: '', endDeletedProjects: false };
  const error = await t.throwsAsync(
    bind(deleteOrganization, dependencies)(request, call({ accountId })),
  );
  // The scripted token service says that the key belongs to an account that is not a member.
  t.is(reasonOf(error), 'ORGANIZATION_NOT_FOUND');
});

test('a caller that has access again may repeat its deletion', async (t) => {
  const { dependencies, call, signUp, peers, stores, decide } = await serviceHarness(t);
  const { accountId, organizationId } = await signUp('ada@example.com');
  // The scripted token service says that the key belongs to this account.
  const owner = { ...aMembership('acc_1', organizationId, Level.LEVEL_OWNER), revision: 2 };
  await decide((tx) => stores.members.insert(tx, owner));
  peers.closeResult = TryResult.TRY_RESULT_REFUSED_ACCESS;
  const remove = bind(deleteOrganization, dependencies);
  const request = { organizationId, etag: '', requestId: '', endDeletedProjects: false };
  const error = await t.throwsAsync(remove(request, call({ accountId })));
  t.is(reasonOf(error), 'REQUEST_IN_PROGRESS');
});

test('one deletion of an organization runs at a time', async (t) => {
  const { dependencies, call, signUp, peers } = await serviceHarness(t);
  const { accountId, organizationId } = await signUp('ada@example.com');
  const remove = bind(deleteOrganization, dependencies);
  const request = { organizationId, etag: '', requestId: '', endDeletedProjects: false };
  const closing = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  peers.beforeTry = () => {
    closing.resolve();
    return goOn.promise;
  };
  const first = remove(request, call({ accountId }));
  await closing.promise;
  const second = await t.throwsAsync(remove(request, call({ accountId })));
  t.is(reasonOf(second), 'REQUEST_IN_PROGRESS');
  goOn.resolve();
  t.deepEqual(await first, {});
});

test('a deletion is rejected for another etag, and for a caller that is not an owner', async (t) => {
  const { dependencies, call, signUp, stores, decide } = await serviceHarness(t);
  const { accountId, organizationId } = await signUp('ada@example.com');
  const { accountId: admin } = await signUp('bob@example.com');
  await decide((tx) =>
    stores.members.insert(tx, {
      accountId: admin,
      organizationId,
      level: 2,
      revision: 2,
      joinTime: tx.now,
    }),
  );
  const remove = bind(deleteOrganization, dependencies);
  const stale = remove(
    { organizationId, etag: 'stale', requestId: '', endDeletedProjects: false },
    call({ accountId }),
  );
  t.is(reasonOf(await t.throwsAsync(stale)), 'ETAG_MISMATCH');
  const byAdmin = { organizationId, etag: '', requestId: '', endDeletedProjects: false };
  const error = await t.throwsAsync(remove(byAdmin, call({ accountId: admin })));
  t.is(reasonOf(error), 'ADMIN_REQUIRED');
});
