import { reasonOf } from '@silo/errors/from-status.ts';
import { prepare } from '@silo/mongo/test/support.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import test from 'ava';
import { storeMigrations } from '../store/set-up.ts';
import { aMembership, anAccount, anInvite, anOrganization, storeHarness } from './support.ts';

const { LEVEL_MEMBER, LEVEL_ADMIN, LEVEL_OWNER } = Level;

test('set-up is safe to repeat', async (t) => {
  const { connection } = await storeHarness(t);
  await Promise.all([
    prepare(connection.db, storeMigrations),
    prepare(connection.db, storeMigrations),
  ]);
  t.pass();
});

test('an account is found by its own id and e-mail only', async (t) => {
  const { stores, signal, decide } = await storeHarness(t);
  const ada = anAccount('Ada@Example.com');
  const bob = anAccount('bob@example.com');
  await decide(async (tx) => {
    await stores.accounts.insert(tx, ada);
    await stores.accounts.insert(tx, bob);
  });
  t.deepEqual(await stores.accounts.find(ada._id, signal), ada);
  t.is(await stores.accounts.find('acc_none', signal), undefined);
  t.deepEqual([...(await stores.accounts.findMany([bob._id], signal)).keys()], [bob._id]);
  await decide(async (tx) => {
    t.is((await stores.accounts.findByEmailIn(tx, 'ada@example.com'))?._id, ada._id);
    t.is(await stores.accounts.findByEmailIn(tx, 'eve@example.com'), undefined);
    await stores.accounts.save(tx, { ...ada, displayName: 'Ada L.', revision: 2 });
  });
  t.is((await stores.accounts.find(ada._id, signal))?.displayName, 'Ada L.');
  t.deepEqual(await stores.accounts.find(bob._id, signal), bob);
});

test('an e-mail that another account has is refused, in any case', async (t) => {
  const { stores, decide } = await storeHarness(t);
  const ada = anAccount('ada@example.com');
  const bob = anAccount('bob@example.com');
  await decide(async (tx) => {
    await stores.accounts.insert(tx, ada);
    await stores.accounts.insert(tx, bob);
  });
  const again = await t.throwsAsync(
    decide((tx) => stores.accounts.insert(tx, anAccount('ADA@example.com'))),
  );
  t.is(reasonOf(again), 'EMAIL_TAKEN');
  const stolen = { ...bob, email: ada.email, comparableEmail: ada.comparableEmail };
  const taken = await t.throwsAsync(decide((tx) => stores.accounts.save(tx, stolen)));
  t.is(reasonOf(taken), 'EMAIL_TAKEN');
});

test('one of many concurrent claims of an e-mail succeeds', async (t) => {
  const { stores, decide } = await storeHarness(t);
  const outcomes = await Promise.allSettled(
    Array.from({ length: 8 }, () =>
      decide((tx) => stores.accounts.insert(tx, anAccount('race@example.com'))),
    ),
  );
  t.is(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') t.is(reasonOf(outcome.reason), 'EMAIL_TAKEN');
  }
});

test('a deleted organization is not found, and others are unchanged', async (t) => {
  const { stores, signal, decide } = await storeHarness(t);
  const acme = anOrganization('Acme');
  const other = anOrganization('Other');
  await decide(async (tx) => {
    await stores.organizations.insert(tx, acme);
    await stores.organizations.insert(tx, other);
  });
  t.deepEqual(await stores.organizations.find(acme._id, signal), acme);
  await decide((tx) => stores.organizations.save(tx, { ...acme, deleteTime: tx.now }));
  t.is(await stores.organizations.find(acme._id, signal), undefined);
  t.is(await stores.organizations.readFact(acme._id, signal), undefined);
  t.is(await decide((tx) => stores.organizations.findIn(tx, acme._id)), undefined);
  const many = await stores.organizations.findMany([acme._id, other._id], signal);
  t.deepEqual([...many.keys()], [other._id]);
  t.deepEqual(await stores.organizations.readFact(other._id, signal), other);
});

test('a membership belongs to one organization and one account', async (t) => {
  const { stores, signal, decide } = await storeHarness(t);
  const { members } = stores;
  await decide(async (tx) => {
    await members.insert(tx, aMembership('acc_a', 'org_1', LEVEL_OWNER, 1));
    await members.insert(tx, aMembership('acc_a', 'org_2', LEVEL_MEMBER, 2));
    await members.insert(tx, aMembership('acc_b', 'org_1', LEVEL_ADMIN, 3));
  });
  t.is(await members.readFact('acc_a', 'org_1', signal), LEVEL_OWNER);
  t.is(await members.readFact('acc_a', 'org_2', signal), LEVEL_MEMBER);
  t.is(await members.readFact('acc_b', 'org_2', signal), undefined);
  await decide(async (tx) => {
    const found = await members.findIn(tx, 'org_1', 'acc_b');
    t.is(found?.level, LEVEL_ADMIN);
    t.is(await members.findIn(tx, 'org_2', 'acc_b'), undefined);
    if (found) await members.save(tx, { ...found, level: LEVEL_MEMBER });
    await members.remove(tx, 'org_1', 'acc_a');
  });
  t.is(await members.readFact('acc_a', 'org_1', signal), undefined);
  t.is(await members.readFact('acc_a', 'org_2', signal), LEVEL_MEMBER);
  t.is(await members.readFact('acc_b', 'org_1', signal), LEVEL_MEMBER);
  t.false(await members.removeSome('org_1', signal));
  t.is(await members.readFact('acc_b', 'org_1', signal), undefined);
  t.is(await members.readFact('acc_a', 'org_2', signal), LEVEL_MEMBER);
});

test('members are listed page by page in the order in which they joined, of one organization', async (t) => {
  const { stores, signal, decide } = await storeHarness(t);
  const { members } = stores;
  await decide(async (tx) => {
    await members.insert(tx, aMembership('acc_c', 'org_1', LEVEL_OWNER, 1));
    await members.insert(tx, aMembership('acc_b', 'org_1', LEVEL_MEMBER, 2));
    await members.insert(tx, aMembership('acc_a', 'org_1', LEVEL_MEMBER, 2));
    await members.insert(tx, aMembership('acc_d', 'org_2', LEVEL_OWNER, 1));
  });
  const first = await members.listOfOrganization('org_1', { size: 2 }, signal);
  t.true(first.hasMore);
  t.deepEqual(
    first.items.map(({ accountId }) => accountId),
    ['acc_c', 'acc_a'],
  );
  const [, last] = first.items;
  const rest = await members.listOfOrganization('org_1', { after: last, size: 2 }, signal);
  t.false(rest.hasMore);
  t.deepEqual(
    rest.items.map(({ accountId }) => accountId),
    ['acc_b'],
  );
});

test('an account’s memberships are listed by organization, among those requested', async (t) => {
  const { stores, signal, decide } = await storeHarness(t);
  const { members } = stores;
  await decide(async (tx) => {
    for (const organizationId of ['org_3', 'org_1', 'org_2']) {
      await members.insert(tx, aMembership('acc_a', organizationId, LEVEL_MEMBER));
    }
    await members.insert(tx, aMembership('acc_b', 'org_4', LEVEL_MEMBER));
  });
  const list = async (page: Partial<Parameters<typeof members.listOfAccount>[1]>) => {
    const { items } = await members.listOfAccount('acc_a', { size: 9, ...page }, signal);
    return items.map(({ organizationId }) => organizationId);
  };
  t.deepEqual(await list({}), ['org_1', 'org_2', 'org_3']);
  t.deepEqual(await list({ after: 'org_1', size: 1 }), ['org_2']);
  t.deepEqual(await list({ among: ['org_3', 'org_4'] }), ['org_3']);
  t.deepEqual(await list({ among: [] }), []);
});

test('an invite is found by its code, and by its id only in its own organization', async (t) => {
  const { stores, signal, decide } = await storeHarness(t);
  const { invites } = stores;
  // This time is one hour ahead, so that MongoDB does not remove the expired invites.
  const now = new Date(Date.now() + 3_600_000);
  const late = { expireTime: now };
  const later = { expireTime: new Date(now.getTime() + 1) };
  const open = anInvite('org_1', 'Bob@Example.com', later);
  const expired = anInvite('org_1', 'eve@example.com', late);
  const other = anInvite('org_2', 'bob@example.com', later);
  const otherExpired = anInvite('org_2', 'eve@example.com', late);
  const all = [open, expired, other, otherExpired];
  await decide(async (tx) => {
    for (const invite of all) await invites.insert(tx, invite);
  });
  await decide(async (tx) => {
    t.is((await invites.findByCodeIn(tx, open.codeHash))?._id, open._id);
    t.is(await invites.findByCodeIn(tx, Buffer.alloc(32)), undefined);
    t.is((await invites.findOpenIn(tx, 'org_1', open._id, now))?._id, open._id);
    t.is(await invites.findOpenIn(tx, 'org_2', open._id, now), undefined);
    t.is(await invites.findOpenIn(tx, 'org_1', expired._id, now), undefined);
    await invites.remove(tx, 'org_2', open._id);
    t.not(await invites.findOpenIn(tx, 'org_1', open._id, now), undefined);
  });
  const page = { now, size: 10 };
  const listed = await invites.listOpen('org_1', page, signal);
  t.deepEqual(
    listed.items.map(({ _id }) => _id),
    [open._id],
  );
  const rest = await invites.listOpen('org_1', { ...page, after: open._id }, signal);
  t.deepEqual(rest, { items: [], hasMore: false });
  await decide(async (tx) => {
    t.is(await invites.countOpen(tx, 'org_1', now), 1);
    t.deepEqual(await invites.removeOfEmail(tx, 'org_1', 'bob@example.com'), [
      { id: open._id, organizationId: 'org_1' },
    ]);
    t.deepEqual(await invites.removeOfEmail(tx, 'org_1', 'bob@example.com'), []);
    t.is((await invites.findOpenIn(tx, 'org_2', other._id, now))?._id, other._id);
    await invites.removeAll(tx, 'org_1');
    t.is((await invites.findByCodeIn(tx, otherExpired.codeHash))?._id, otherExpired._id);
    await invites.removeAll(tx, 'org_2');
    t.is(await invites.findByCodeIn(tx, other.codeHash), undefined);
  });
});
