import { randomUUID } from 'node:crypto';
import { create, type DescMethod, toBinary } from '@bufbuild/protobuf';
import { Client, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { fromStatus, isServiceError } from '@silo/errors/from-status.ts';
import { reasonName } from '@silo/errors/reason-name.ts';
import { detailsKey, statusSizeBytesMax } from '@silo/errors/to-status.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { Project, ProjectSettings } from '@silo/protos/gen/silo/project/v1/project.ts';
import { loadImage, siloMethods } from '@silo/protos/image.ts';
import { createChannel } from '@silo/rpc/client.ts';
import { serviceNames } from '@silo/service/config.ts';
import { requests } from '../authorization/requests.ts';
import { createWorld, type World } from '../authorization/world.ts';
import { certificate } from '../harness/certificates.ts';
import type { PublicApi, SignedUp } from '../harness/clients.ts';
import { untilInTime } from '../harness/eventually.ts';
import { refused } from '../harness/refusals.ts';
import type { TestSilo } from '../harness/silo.ts';
import { hostileFields, undecodable } from './hostile-bytes.ts';
import {
  choosePlan,
  createOrganization,
  createProject,
  moveProject,
  scenarios,
} from './support.ts';

const test = scenarios();
const callsAtOnce = 24;

const methods = siloMethods(loadImage()).filter(({ path }) => !path.includes('.internal.'));

/** The end of a call. */
type Ended = { code: number; reason: string | undefined; fields: string[]; sizeBytes: number };

type RawCall = (path: string, bytes: Buffer, apiKey?: string) => Promise<Ended>;

/**
 * Reasons that a busy machine may cause; a call that gets one of them every time is a fault all the
 * same.
 */
const late = new Set(['CALL_ENDED', 'DEPENDENCY_UNAVAILABLE']);

/**
 * Sends raw bytes to public methods; repeats a call if the service, on a busy machine, did not
 * respond in time.
 */
function rawClient(silo: TestSilo): Disposable & { call: RawCall } {
  const { ca } = certificate('staff-operator');
  const channels = serviceNames.map((name) => createChannel(silo.addresses[name].public, { ca }));
  const clients = channels.map(
    ({ address, credentials, channel }) =>
      new Client(address, credentials, { channelOverride: channel }),
  );
  const asIs = (value: Buffer) => value;
  const callOnce: RawCall = (path, bytes, apiKey) =>
    new Promise((resolve) => {
      const metadata = new Metadata();
      if (apiKey !== undefined) metadata.set('authorization', `Bearer ${apiKey}`);
      const options = { deadline: Date.now() + 60_000 };
      const client = clients[serviceNames.findIndex((name) => path.startsWith(`/silo.${name}.`))];
      const done = (error: ServiceError | null) => resolve(endedBy(error));
      client?.makeUnaryRequest(path, asIs, asIs, bytes, metadata, options, done);
    });
  return {
    call: (...request) =>
      untilInTime(
        () => callOnce(...request),
        ({ reason }) => reason !== undefined && late.has(reason),
      ),
    [Symbol.dispose]: () => {
      for (const channel of channels) channel.close();
    },
  };
}

function endedBy(error: ServiceError | null): Ended {
  if (error === null) return { code: status.OK, reason: undefined, fields: [], sizeBytes: 0 };
  const refusal = fromStatus(error);
  return {
    code: error.code,
    reason: refusal && reasonName(refusal.reason),
    fields: (refusal?.details.badRequest ?? []).map(({ field }) => field),
    sizeBytes: error.metadata.get(detailsKey)[0]?.length ?? 0,
  };
}

/** A well-formed request of the world's owner. */
function wellFormed(world: World, path: string, { input }: DescMethod): Buffer {
  const request = requests[path]?.(world, world.owner) ?? {};
  return Buffer.from(toBinary(input, create(input, request as Record<string, never>)));
}

async function heads(silo: TestSilo): Promise<string> {
  const internal = silo.internal();
  const all = await Promise.all(serviceNames.map((name) => internal[name].eventLog.getHead({})));
  return all.map(({ head }) => head?.sequence).join();
}

/** The method that is called with a project token, because it refuses keys. */
const captures = '/silo.project.v1.EventService/CaptureEvents';
const secretFor = (path: string, { apiKey, projectToken }: SignedUp) =>
  path === captures ? projectToken : apiKey;

async function inTurns<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const worker = async () => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) await act(item);
  };
  await Promise.all(Array.from({ length: callsAtOnce }, worker));
}

test('bytes that do not decode are INVALID_FIELD everywhere, and change nothing', async (t) => {
  const { silo } = t.context;
  using client = rawClient(silo);
  const person = await silo.signUp();
  const before = await heads(silo);
  const cases = methods.flatMap(({ path }) =>
    Object.entries(undecodable).map(([what, bytes]) => ({ path, what, bytes })),
  );
  await inTurns(cases, async ({ path, what, bytes }) => {
    const { code, reason, fields } = await client.call(path, bytes, secretFor(path, person));
    const expected = [status.INVALID_ARGUMENT, 'INVALID_FIELD', ['']];
    t.deepEqual([code, reason, fields], expected, `${path}: ${what}`);
  });
  t.is(await heads(silo), before);
});

test('no value of any field causes INTERNAL, and every refusal is an error of Silo within 4 KiB', async (t) => {
  const { silo } = t.context;
  using client = rawClient(silo);
  const world = await createWorld(silo);
  const cases = methods.flatMap(({ path, method }) => {
    const start = wellFormed(world, path, method);
    return hostileFields(method.input).map(({ what, bytes }) => ({
      ...{ path, what, bytes: Buffer.concat([start, bytes]) },
    }));
  });
  const codes = new Set<number>();
  await inTurns(cases, async ({ path, what, bytes }) => {
    const secret = secretFor(path, world.owner);
    const { code, reason, sizeBytes } = await client.call(path, bytes, secret);
    codes.add(code);
    if (code === status.OK) return;
    const ours = reason !== undefined && sizeBytes > 0 && sizeBytes <= statusSizeBytesMax;
    const isOurs = ours && !faults.has(code);
    if (!isOurs) t.fail(`${path}, ${what}: ${code} ${reason} in ${sizeBytes} bytes`);
  });
  t.true(codes.has(status.OK) && codes.has(status.INVALID_ARGUMENT));
  t.log(`${cases.length} requests`);
});

/** Codes for faults of the server, not of the caller. */
const faults = new Set<number>([
  status.INTERNAL,
  status.UNKNOWN,
  status.UNAVAILABLE,
  status.DEADLINE_EXCEEDED,
  status.DATA_LOSS,
]);

test('a call without a valid key learns nothing about the shape of requests', async (t) => {
  const { silo } = t.context;
  using client = rawClient(silo);
  const anyone = new Set([
    '/silo.org.v1.AccountService/CreateAccount',
    '/silo.billing.v1.BillingService/ListPlans',
  ]);
  for (const { path } of methods.filter((each) => !anyone.has(each.path))) {
    const { code, reason } = await client.call(path, Buffer.from([0x0a]));
    t.deepEqual([code, reason], [status.UNAUTHENTICATED, 'TOKEN_INVALID'], path);
  }
});

/** Every list, with a page of one item. */
const lists: Record<string, (api: PublicApi, world: Listed, page: Page) => Promise<Listing>> = {
  ListOrganizations: (api, _, page) => api.organizations.listOrganizations(page),
  ListMembers: (api, { organizationId }, page) =>
    api.organizations.listMembers({ organizationId, ...page }),
  ListInvites: (api, { organizationId }, page) =>
    api.organizations.listInvites({ organizationId, ...page }),
  ListActivity: (api, { organizationId }, page) =>
    api.activity.listActivity({ organizationId, projectId: '', ...page }),
  ListMoves: (api, { organizationId }, page) =>
    api.projects.listMoves({ organizationId, projectId: '', ...page }),
  ListProjects: (api, { organizationId }, page) =>
    api.projects.listProjects({ organizationId, showDeleted: false, ...page }),
  SearchProjects: (api, _, page) => api.projects.searchProjects({ query: '', ...page }),
  ListMoveDestinations: (api, { projectId }, page) =>
    api.projects.listMoveDestinations({ projectId, ...page }),
  ListApiKeys: (api, _, page) => api.apiKeys.listApiKeys(page),
};
type Listed = { organizationId: string; projectId: string };
type Page = { pageSize: number; pageToken: string };
type Listing = { nextPageToken: string };

const forgedKeys = [
  '',
  '{',
  '{}',
  '[]',
  '[null]',
  '[1]',
  '[{"$gt":""}]',
  '[["a"]]',
  '["\\u0000"]',
  '[{"$date":"never"}]',
  '[{"$oid":"zz"}]',
  '[{"$numberLong":"-9223372036854775808"}]',
  '["a","b"]',
  '["a","b","c","d"]',
];

test('a page token of another query, or an invented one, is refused by its field or does no harm', async (t) => {
  const { silo } = t.context;
  const { owner, organizationId, projectId } = await createWorld(silo);
  const { api } = owner;
  const { id } = await createProject(api, organizationId);
  const { organizationId: elsewhere } = await createOrganization(api);
  await choosePlan(api, elsewhere);
  await moveProject(api, id, elsewhere);
  await moveProject(api, id, organizationId);
  for (const email of ['a@example.com', 'b@example.com']) {
    const requestId = randomUUID();
    const level = Level.LEVEL_MEMBER;
    await api.organizations.inviteMember({ organizationId, email, level, requestId });
  }
  const listed = { organizationId, projectId };
  const tokens: Record<string, string> = {};
  for (const [name, list] of Object.entries(lists)) {
    const { nextPageToken } = await list(api, listed, { pageSize: 1, pageToken: '' });
    t.not(nextPageToken, '', `${name} has a second page`);
    tokens[name] = nextPageToken;
  }
  for (const [name, list] of Object.entries(lists)) {
    const readPage = (pageToken: string) => list(api, listed, { pageSize: 1, pageToken });
    const others = Object.values(tokens).filter((token) => token !== tokens[name]);
    for (const token of ['x', '....', 'A'.repeat(64), `${tokens[name]}=`, ...others]) {
      const { details } = await refused(t, readPage(token), 'INVALID_FIELD');
      t.is(details.badRequest?.[0]?.field, 'page_token', `${name}: ${token}`);
    }
    const bound = Buffer.from(tokens[name] ?? '', 'base64url').subarray(0, 12);
    for (const key of forgedKeys) {
      const token = Buffer.concat([bound, Buffer.from(key)]).toString('base64url');
      const ended = await readPage(token).then(() => 'OK', endedOf);
      t.regex(ended, /^(OK|INVALID_FIELD)$/, `${name}: ${key}`);
    }
  }
});

function endedOf(error: unknown): string {
  const refusal = fromStatus(error);
  return refusal === undefined ? String(error) : reasonName(refusal.reason);
}

test('a negative page size is refused by its field; a huge one means the maximum', async (t) => {
  const { api, organization } = await t.context.silo.signUp();
  const listed = { organizationId: organization.id, showDeleted: false };
  const { details } = await refused(
    t,
    api.projects.listProjects({ ...listed, pageSize: -1, pageToken: '' }),
    'INVALID_FIELD',
  );
  t.deepEqual(
    details.badRequest?.map(({ field }) => field),
    ['page_size'],
  );
  const huge = { ...listed, pageSize: 2 ** 31 - 1, pageToken: '' };
  t.is((await api.projects.listProjects(huge)).projects.length, 1);
});

test('all violations of a request are reported together, by field path', async (t) => {
  const { silo } = t.context;
  const { details } = await refused(
    t,
    silo.as().accounts.createAccount({
      email: 'not an e-mail',
      displayName: '',
      organizationName: 'x'.repeat(65),
      requestId: 'no UUID',
    }),
    'INVALID_FIELD',
  );
  const fields = details.badRequest?.map(({ field }) => field);
  t.deepEqual(fields, ['email', 'display_name', 'organization_name', 'request_id']);
});

test('a refusal that would be longer than 4 KiB is cut, and says so', async (t) => {
  const { api, projectId } = await t.context.silo.signUp();
  const appUrls = Array.from({ length: 50 }, (_, index) => `ftp://${index}.example.com`);
  const error = await refused(
    t,
    api.projects.updateProject({
      project: Project.fromPartial({
        id: projectId,
        settings: ProjectSettings.fromPartial({ appUrls }),
      }),
      updateMask: ['settings.app_urls'],
      requestId: '',
    }),
    'INVALID_FIELD',
  );
  const reported = error.details.badRequest?.length ?? 0;
  t.true(reported > 0 && reported < 50);
  t.is(error.metadata.truncated, String(50 - reported));
  t.is(error.details.badRequest?.[0]?.field, 'project.settings.app_urls[0]');
  if (!isServiceError(error.cause)) return t.fail('it came over gRPC');
  const [bytes] = error.cause.metadata.get(detailsKey);
  t.true(Buffer.from(bytes ?? '').length <= statusSizeBytesMax);
});
