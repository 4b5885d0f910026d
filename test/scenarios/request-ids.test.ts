/** The guarantees of a request id, one answer and one effect, and the valid ids. */
import { randomUUID } from 'node:crypto';
import type { DescMessage } from '@bufbuild/protobuf';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { loadImage, siloMethods } from '@silo/protos/image.ts';
import { type ServiceName, serviceNames } from '@silo/service/config.ts';
import { BSON } from 'mongodb';
import { keyMessage } from '../authorization/world.ts';
import { withoutPropagation } from '../harness/clients.ts';
import { untilAnswered } from '../harness/eventually.ts';
import { outcomes, refused } from '../harness/refusals.ts';
import type { TestSilo } from '../harness/silo.ts';
import { readStream } from '../invariants/stream.ts';
import { mutations } from './mutations.ts';
import { choosePlan, createProject, projectNames, scenarios } from './support.ts';

const test = scenarios();
const { LEVEL_MEMBER } = Level;
const callsAtOnce = 20;

/** The last sequence of each service's log. */
async function heads(silo: TestSilo): Promise<Record<ServiceName, number>> {
  const internal = silo.internal();
  const read = serviceNames.map(async (name) => {
    const { head } = await internal[name].eventLog.getHead({});
    return [name, head?.sequence ?? 0] as const;
  });
  return Object.fromEntries(await Promise.all(read)) as Record<ServiceName, number>;
}

/** The events since then as `<service>.<event>`, sorted. */
async function eventsSince(silo: TestSilo, before: Record<ServiceName, number>): Promise<string[]> {
  await heads(silo); // sequences all events
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

/** Requests that another region must answer are tested in migration-requests.test.ts. */
const acrossRegions = ['RequestMigration', 'AcceptMigration', 'CancelMigration'].map(
  (name) => `/silo.project.v1.MigrationService/${name}`,
);

test('every method with a request id is tested', (t) => {
  const taking = siloMethods(loadImage()).filter(({ method }) => holdsRequestId(method.input));
  t.deepEqual(
    [...Object.keys(mutations), ...acrossRegions].sort(),
    taking.map(({ path }) => path),
  );
});

// One after another, so that the logs have the events of one request only.
for (const [path, { prepare, events }] of Object.entries(mutations)) {
  test(`${path}: a request id has one answer and one effect, however often and concurrently it is used`, async (t) => {
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
  test(`${path}: of two concurrent requests with one id, one is executed`, async (t) => {
    const prepared = await mutations[path]?.prepare(t.context.silo);
    const requestId = randomUUID();
    const both = [prepared?.call(requestId), prepared?.other(requestId)];
    const ends = await outcomes(both.map((each) => Promise.resolve(each)));
    t.deepEqual(ends.sort(), ['OK', 'REQUEST_ID_REUSED']);
  });
}

test('a refusal is not recorded: after an upgrade the same request succeeds', async (t) => {
  const { api, organization } = await t.context.silo.signUp();
  const requestId = randomUUID();
  const create = () => createProject(api, organization.id, { requestId });
  await refused(t, create(), 'PROJECT_LIMIT');
  await choosePlan(api, organization.id);
  const { id } = await create();
  t.is((await create()).id, id);
});

test('the same id of another account or for another method is another request', async (t) => {
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

test('without a request id every call is a separate request', async (t) => {
  const { silo } = t.context;
  const { api, apiKey, organization } = await silo.signUp();
  await choosePlan(api, organization.id);
  let tries = 0;
  const create = () =>
    untilAnswered(() => {
      tries++;
      return createProject(silo.once(apiKey), organization.id);
    });
  t.not((await create()).id, (await create()).id);
  // An attempt that was not answered may have had its effect, too.
  const { length } = await projectNames(api, organization.id);
  t.true(length >= 3 && length <= 1 + tries, `${length} projects after ${tries} tries`);
});

test('if the answer contains a secret, the id must be a random UUID', async (t) => {
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

test('otherwise the id must have 1 to 128 printable characters', async (t) => {
  const { api } = await t.context.silo.signUp();
  const create = (requestId: string) =>
    api.organizations.createOrganization({ name: 'x', requestId });
  await create(`~ ${'x'.repeat(126)}`);
  for (const requestId of ['x'.repeat(129), 'line\nbreak', 'ümlaut']) {
    await refused(t, create(requestId), 'INVALID_FIELD');
  }
});

test('no database and no event contains secrets or their request ids', async (t) => {
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
  t.true(dump.includes('bob-of-the-dump@example.com'), 'the dump would contain them');
  const stream = (await readStream(silo)).map((each) => JSON.stringify(each)).join('\n');
  for (const secret of secrets) {
    t.false(dump.includes(secret));
    t.false(stream.includes(secret));
    // A UUID may be stored as bytes, too.
    t.false(dump.includes(Buffer.from(secret.replaceAll('-', ''), 'hex')) && secret.includes('-'));
  }
});

/** Everything that a dump of the databases would contain. */
async function dumpOf({ mongo, databasePrefix }: TestSilo): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for (const name of serviceNames) {
    for (const collection of await mongo.db(`${databasePrefix}_${name}`).collections()) {
      for await (const document of collection.find()) parts.push(BSON.serialize(document));
    }
  }
  return Buffer.concat(parts);
}
