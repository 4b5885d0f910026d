import { randomUUID } from 'node:crypto';
import type { DescMessage } from '@bufbuild/protobuf';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { Member } from '@silo/protos/gen/silo/org/v1/organization.ts';
import { loadImage, siloMethods } from '@silo/protos/image.ts';
import { type ServiceName, serviceNames } from '@silo/service/config.ts';
import { BSON } from 'mongodb';
import { createKey, join, keyMessage } from '../authorization/world.ts';
import { withoutPropagation } from '../harness/clients.ts';
import { outcomes, refused } from '../harness/refusals.ts';
import type { TestSilo } from '../harness/silo.ts';
import { readStream } from '../invariants/stream.ts';
import { mutations } from './mutations.ts';
import {
  choosePlan,
  createOrganization,
  createProject,
  moveProject,
  projectNames,
  scenarios,
} from './support.ts';

const test = scenarios();
const { LEVEL_ADMIN, LEVEL_MEMBER } = Level;
const callsAtOnce = 20;

/** How far each service's log reaches. */
async function heads(silo: TestSilo): Promise<Record<ServiceName, number>> {
  const internal = silo.internal();
  const read = serviceNames.map(async (name) => {
    const { head } = await internal[name].eventLog.getHead({});
    return [name, head?.sequence ?? 0] as const;
  });
  return Object.fromEntries(await Promise.all(read)) as Record<ServiceName, number>;
}

/** The events since then: `<service>.<event>`, sorted. */
async function eventsSince(silo: TestSilo, before: Record<ServiceName, number>): Promise<string[]> {
  await heads(silo); // numbers everything
  const types: string[] = [];
  for (const name of serviceNames) {
    const request = { afterSequence: before[name], batchSize: 0, follow: false };
    for await (const { events } of silo.internal()[name].eventLog.readEvents(request)) {
      types.push(...events.map(({ type }) => type.split('.').slice(2, 4).join('.')));
    }
  }
  return types.sort();
}

const holdsRequestId = ({ fields }: DescMessage): boolean =>
  fields.some(
    (field) =>
      field.name === 'request_id' ||
      (field.fieldKind === 'message' &&
        field.message.fields.some((each) => each.name === 'request_id')),
  );

test('every method that takes a request id is tried', (t) => {
  const taking = siloMethods(loadImage()).filter(({ method }) => holdsRequestId(method.input));
  t.deepEqual(
    Object.keys(mutations).sort(),
    taking.map(({ path }) => path),
  );
});

// One after another, so that the logs have the events of one request only.
for (const [path, { prepare, events }] of Object.entries(mutations)) {
  test(`${path}: one request id, one answer and one effect, however often and at once`, async (t) => {
    const { silo } = t.context;
    const { call: callOnce, other } = await prepare(silo);
    const call = async (id: string) => withoutPropagation(await callOnce(id));
    const requestId = randomUUID();
    const before = await heads(silo);
    const calls = Array.from({ length: callsAtOnce }, () => call(requestId));
    const [first, ...answers] = await Promise.all(calls);
    for (const answer of answers) t.deepEqual(answer, first);
    t.deepEqual(await eventsSince(silo, before), events.toSorted());
    const after = await heads(silo);
    t.deepEqual(await call(requestId), first);
    await refused(t, other(requestId), 'REQUEST_ID_REUSED');
    t.deepEqual(await heads(silo), after);
  });
}

for (const path of [
  '/silo.org.v1.AccountService/CreateAccount',
  '/silo.org.v1.OrganizationService/CreateOrganization',
  '/silo.org.v1.OrganizationService/InviteMember',
  '/silo.project.v1.ProjectService/CreateProject',
  '/silo.token.v1.ApiKeyService/CreateApiKey',
  '/silo.billing.v1.BillingService/ChangePlan',
]) {
  test(`${path}: of two requests under one id at once, one is done`, async (t) => {
    const prepared = await mutations[path]?.prepare(t.context.silo);
    const requestId = randomUUID();
    const both = [prepared?.call(requestId), prepared?.other(requestId)];
    const ends = await outcomes(both.map((each) => Promise.resolve(each)));
    t.deepEqual(ends.sort(), ['OK', 'REQUEST_ID_REUSED']);
  });
}

test('a refusal is not remembered: upgrade, repeat, and it works', async (t) => {
  const { api, organization } = await t.context.silo.signUp();
  const requestId = randomUUID();
  const create = () => createProject(api, organization.id, { requestId });
  await refused(t, create(), 'PROJECT_LIMIT');
  await choosePlan(api, organization.id);
  const { id } = await create();
  t.is((await create()).id, id);
});

test('another account with the same id, and another method, are other requests', async (t) => {
  const { silo } = t.context;
  const [ada, bob] = [await silo.signUp('Ada'), await silo.signUp('Bob')];
  const requestId = randomUUID();
  const made = await Promise.all(
    [ada, bob].map(async ({ api }) => {
      const apiKey = keyMessage({ name: 'Same', scopes: ['*'] });
      return await api.apiKeys.createApiKey({ apiKey, requestId });
    }),
  );
  t.is(new Set(made.map(({ secret }) => secret)).size, 2);
  const founded = await ada.api.organizations.createOrganization({ name: 'Same', requestId });
  t.truthy(founded.organization);
});

test('the id of a sign-up belongs to its e-mail', async (t) => {
  const { accounts } = t.context.silo.as();
  const requestId = randomUUID();
  const signUp = (email: string) =>
    accounts.createAccount({ email, displayName: 'x', organizationName: 'x', requestId });
  const [one, other] = [`${randomUUID()}@example.com`, `${randomUUID()}@example.com`];
  const first = await signUp(one);
  t.not((await signUp(other)).account?.id, first.account?.id);
  t.deepEqual(await signUp(one), first);
});

test('without a request id every call is a request of its own', async (t) => {
  const { api, organization } = await t.context.silo.signUp();
  await choosePlan(api, organization.id);
  await createProject(api, organization.id);
  await createProject(api, organization.id);
  t.is((await projectNames(api, organization.id)).length, 3);
});

test('a key that rolled, disabled or deleted itself may retry that request, and nothing else', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp();
  for (const way of ['rollApiKey', 'disableApiKey', 'deleteApiKey'] as const) {
    const { apiKey, secret } = await createKey(ada.api, { scopes: ['*'] });
    const { apiKeys, accounts } = silo.as(secret);
    const request = { keyId: apiKey.id, overlap: undefined, etag: '', requestId: randomUUID() };
    const first = await apiKeys[way](request);
    t.deepEqual(withoutPropagation(await apiKeys[way](request)), withoutPropagation(first), way);
    await refused(t, accounts.getAccount({}), 'TOKEN_INVALID');
    const fresh = { ...request, requestId: randomUUID() };
    await refused(t, apiKeys[way](fresh), 'TOKEN_INVALID');
  }
});

test('a caller that another account removed may not retry its earlier requests', async (t) => {
  const { silo } = t.context;
  const [ada, bob] = [await silo.signUp('Ada'), await silo.signUp('Bob')];
  const organizationId = ada.organization.id;
  const accountId = bob.account.id;
  await join(ada, bob, LEVEL_ADMIN);
  await choosePlan(ada.api, organizationId);
  await choosePlan(bob.api, bob.organization.id);
  const requestId = randomUUID();
  const create = () => createProject(bob.api, organizationId, { requestId });
  const { id } = await create();
  const move = () => moveProject(bob.api, id, bob.organization.id, requestId);
  await move();
  await move();
  const lower = Member.fromPartial({ organizationId, accountId, level: LEVEL_MEMBER });
  await ada.api.organizations.updateMember({ member: lower, updateMask: undefined, requestId: '' });
  await refused(t, move(), 'ADMIN_REQUIRED');
  const removal = { organizationId, accountId, etag: '', requestId: '' };
  await ada.api.organizations.removeMember(removal);
  await refused(t, create(), 'ORGANIZATION_NOT_FOUND');
  await refused(t, move(), 'PROJECT_NOT_FOUND');
});

test('a weaker key of the account gets no secret by repeating the request of a wider one', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp();
  const request = {
    apiKey: keyMessage({ name: 'all', scopes: ['*'] }),
    requestId: randomUUID(),
  };
  const first = await ada.api.apiKeys.createApiKey(request);
  const weaker = async (wanted: Parameters<typeof createKey>[1]) => {
    const { secret } = await createKey(ada.api, wanted);
    return silo.as(secret).apiKeys.createApiKey(request);
  };
  await refused(t, weaker({ scopes: ['project:read'] }), 'SCOPE_REQUIRED');
  await refused(t, weaker({ scopes: ['*'], projectIds: [ada.projectId] }), 'KEY_RESTRICTED');
  await refused(t, weaker({ scopes: ['key:write'] }), 'KEY_EXCEEDS_CALLER');
  const expireTime = new Date(Date.now() + 3_600_000);
  await refused(t, weaker({ scopes: ['*'], expireTime }), 'KEY_EXCEEDS_CALLER');
  t.is((await ada.api.apiKeys.createApiKey(request)).secret, first.secret);
  // At once with the call itself, too: the second one is a retry.
  const { secret: narrow } = await createKey(ada.api, { scopes: ['key:write'] });
  const raced = { ...request, requestId: randomUUID() };
  const rivals = Array.from({ length: 5 }, () => silo.as(narrow).apiKeys.createApiKey(raced));
  const made = ada.api.apiKeys.createApiKey(raced);
  t.deepEqual(new Set(await outcomes(rivals)), new Set(['KEY_EXCEEDS_CALLER']));
  t.truthy((await made).secret);
});

test('a key that had deleted itself repeats nothing else that its account did', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp();
  const request = { apiKey: keyMessage({ name: 'x', scopes: ['*'] }), requestId: randomUUID() };
  await ada.api.apiKeys.createApiKey(request);
  const { apiKey, secret } = await createKey(ada.api, { scopes: ['*'] });
  const deletion = { keyId: apiKey.id, etag: '', requestId: randomUUID() };
  await silo.as(secret).apiKeys.deleteApiKey(deletion);
  await refused(t, silo.as(secret).apiKeys.createApiKey(request), 'TOKEN_INVALID');
  t.deepEqual(withoutPropagation(await silo.as(secret).apiKeys.deleteApiKey(deletion)), {
    propagation: undefined,
  });
});

test('a key that gave up its own right to change keys may repeat that, until another ends it', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp();
  const { apiKey, secret } = await createKey(ada.api, { scopes: ['*'] });
  const { apiKeys } = silo.as(secret);
  const narrowing = {
    apiKey: keyMessage({ id: apiKey.id, scopes: ['project:read'] }),
    updateMask: ['scopes'],
    requestId: randomUUID(),
  };
  const first = await apiKeys.updateApiKey(narrowing);
  t.deepEqual(withoutPropagation(await apiKeys.updateApiKey(narrowing)), withoutPropagation(first));
  await refused(t, apiKeys.updateApiKey({ ...narrowing, requestId: 'other' }), 'SCOPE_REQUIRED');
  await ada.api.apiKeys.deleteApiKey({ keyId: apiKey.id, etag: '', requestId: '' });
  await refused(t, apiKeys.updateApiKey(narrowing), 'TOKEN_INVALID');
});

test('a project’s token is returned to a retry only for members of the organization that owns it now', async (t) => {
  const { silo } = t.context;
  const [ada, bob] = [await silo.signUp('Ada'), await silo.signUp('Bob')];
  const organizationId = ada.organization.id;
  await join(ada, bob, LEVEL_MEMBER);
  await choosePlan(ada.api, organizationId);
  const requestId = randomUUID();
  const create = () =>
    bob.api.projects.createProject({ organizationId, name: 'x', settings: undefined, requestId });
  const { project, projectToken } = await create();
  const projectId = project?.id ?? '';
  const { organizationId: elsewhere } = await createOrganization(ada.api);
  await choosePlan(ada.api, elsewhere);
  await moveProject(ada.api, projectId, elsewhere);
  await refused(t, create(), 'PROJECT_NOT_FOUND');
  await join(ada, bob, LEVEL_MEMBER, elsewhere);
  t.is((await create()).projectToken, projectToken);
  await ada.api.projects.deleteProject({ projectId, etag: '', requestId: '' });
  t.is((await create()).projectToken, projectToken, 'also while it is deleted');
  const accountId = bob.account.id;
  const removal = { organizationId: elsewhere, accountId, etag: '', requestId: '' };
  await ada.api.organizations.removeMember(removal);
  await refused(t, create(), 'PROJECT_NOT_FOUND');
});

test('a project that has moved on is returned to a retry only for accounts with access to it there', async (t) => {
  const { silo } = t.context;
  const [ada, bob] = [await silo.signUp('Ada'), await silo.signUp('Bob')];
  await join(bob, ada, LEVEL_MEMBER);
  await choosePlan(ada.api, ada.organization.id);
  await choosePlan(bob.api, bob.organization.id);
  const { id } = await createProject(ada.api, ada.organization.id);
  const move = () => moveProject(ada.api, id, bob.organization.id, 'move');
  await move();
  await move();
  const { organizationId: further } = await createOrganization(bob.api);
  await choosePlan(bob.api, further);
  await moveProject(bob.api, id, further);
  await refused(t, move(), 'PROJECT_NOT_FOUND');
});

test('a key restricted to a project may repeat what it did there, also the deletion', async (t) => {
  const { silo } = t.context;
  const { api, projectId } = await silo.signUp();
  const { secret } = await createKey(api, { scopes: ['*'], projectIds: [projectId] });
  const { projectTokens, projects } = silo.as(secret);
  const regeneration = { projectId, expectedFingerprint: '', requestId: 'regenerate' };
  const regenerated = await projectTokens.regenerateProjectToken(regeneration);
  const again = await projectTokens.regenerateProjectToken(regeneration);
  t.deepEqual(withoutPropagation(again), withoutPropagation(regenerated));
  const deletion = { projectId, etag: '', requestId: 'delete' };
  const deleted = await projects.deleteProject(deletion);
  t.deepEqual(
    withoutPropagation(await projects.deleteProject(deletion)),
    withoutPropagation(deleted),
  );
});

test('a key restricted to another project may not repeat what its account did', async (t) => {
  const { silo } = t.context;
  const { api, organization, projectId } = await silo.signUp();
  await choosePlan(api, organization.id);
  const { id: other } = await createProject(api, organization.id);
  const { secret } = await createKey(api, { scopes: ['*'], projectIds: [other] });
  const deletion = { projectId, etag: '', requestId: 'delete' };
  await api.projects.deleteProject(deletion);
  await refused(t, silo.as(secret).projects.deleteProject(deletion), 'PROJECT_NOT_FOUND');
});

test('where a secret is answered, the id must be a random UUID', async (t) => {
  const { silo } = t.context;
  const { api, organization, apiKeyId } = await silo.signUp();
  const organizationId = organization.id;
  const email = 'somebody@example.com';
  const apiKey = keyMessage({ name: 'x', scopes: ['*'] });
  const version1 = '5e2f1a60-8d5f-11ef-9cd2-0242ac120002';
  for (const requestId of ['', 'short', version1]) {
    const overlap = undefined;
    const calls = [
      silo.as().accounts.createAccount({
        email,
        displayName: 'x',
        organizationName: 'x',
        requestId,
      }),
      api.organizations.inviteMember({ organizationId, email, level: LEVEL_MEMBER, requestId }),
      api.apiKeys.createApiKey({ apiKey, requestId }),
      api.apiKeys.rollApiKey({ keyId: apiKeyId, overlap, etag: '', requestId }),
    ];
    for (const call of calls) {
      const { details } = await refused(t, call, 'INVALID_FIELD');
      t.deepEqual(
        details.badRequest?.map(({ field }) => field),
        ['request_id'],
      );
    }
  }
});

test('elsewhere it has 1 to 128 printable characters', async (t) => {
  const { api } = await t.context.silo.signUp();
  const create = (requestId: string) =>
    api.organizations.createOrganization({ name: 'x', requestId });
  await create(`~ ${'x'.repeat(126)}`);
  for (const requestId of ['x'.repeat(129), 'line\nbreak', 'ümlaut']) {
    await refused(t, create(requestId), 'INVALID_FIELD');
  }
});

test('secrets and their request ids stand in no database and in no event', async (t) => {
  const { silo } = t.context;
  const requestIds = Array.from({ length: 4 }, () => randomUUID());
  const [forAccount = '', forInvite = '', forKey = '', forRoll = ''] = requestIds;
  const signedUp = await silo.as().accounts.createAccount({
    email: 'ada-of-the-dump@example.com',
    displayName: 'Ada',
    organizationName: 'Dump',
    requestId: forAccount,
  });
  const api = silo.as(signedUp.apiKey);
  const { code } = await api.organizations.inviteMember({
    organizationId: signedUp.organization?.id ?? '',
    email: 'bob-of-the-dump@example.com',
    level: LEVEL_MEMBER,
    requestId: forInvite,
  });
  const apiKey = keyMessage({ name: 'x', scopes: ['*'] });
  const created = await api.apiKeys.createApiKey({ apiKey, requestId: forKey });
  const keyId = created.apiKey?.id ?? '';
  const overlap = { seconds: 60, nanos: 0 };
  const rolled = await api.apiKeys.rollApiKey({ keyId, overlap, etag: '', requestId: forRoll });
  const secrets = [signedUp.apiKey, code, created.secret, rolled.secret, ...requestIds];
  t.is(new Set(secrets).size, 8);
  await heads(silo);
  const dump = await dumpOf(silo);
  t.true(dump.includes('bob-of-the-dump@example.com'), 'the dump would show them');
  const stream = (await readStream(silo)).map((each) => JSON.stringify(each)).join('\n');
  for (const secret of secrets) {
    t.false(dump.includes(secret));
    t.false(stream.includes(secret));
    // A UUID may be kept as its bytes, too.
    t.false(dump.includes(Buffer.from(secret.replaceAll('-', ''), 'hex')) && secret.includes('-'));
  }
});

/** Everything that a dump of the databases would hold. */
async function dumpOf({ mongo, databasePrefix }: TestSilo): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for (const name of serviceNames) {
    for (const collection of await mongo.db(`${databasePrefix}_${name}`).collections()) {
      for await (const document of collection.find()) parts.push(BSON.serialize(document));
    }
  }
  return Buffer.concat(parts);
}
