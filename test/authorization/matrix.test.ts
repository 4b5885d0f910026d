import { join } from 'node:path';
import { Client, Metadata, type MethodDefinition, type ServiceError } from '@grpc/grpc-js';
import { reasonOf } from '@silo/errors/from-status.ts';
import { SubscriptionServiceService } from '@silo/protos/gen/silo/billing/internal/v1/subscription_service.ts';
import { BillingServiceService } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { Role } from '@silo/protos/gen/silo/common/v1/authorization.ts';
import { EventLogServiceService } from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import { DirectoryServiceService } from '@silo/protos/gen/silo/org/internal/v1/directory_service.ts';
import { FactServiceService as OrgFactServiceService } from '@silo/protos/gen/silo/org/internal/v1/fact_service.ts';
import { StaffServiceService as OrgStaffServiceService } from '@silo/protos/gen/silo/org/internal/v1/staff_service.ts';
import { AccountServiceService } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { ActivityServiceService } from '@silo/protos/gen/silo/org/v1/activity_service.ts';
import { OrganizationServiceService } from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { FactServiceService as ProjectFactServiceService } from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import { MigrationPeerServiceService } from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import { MigrationStaffServiceService } from '@silo/protos/gen/silo/project/internal/v1/migration_staff_service.ts';
import { RegionDirectoryServiceService } from '@silo/protos/gen/silo/project/internal/v1/region_directory_service.ts';
import { SlotServiceService } from '@silo/protos/gen/silo/project/internal/v1/slot_service.ts';
import { EventServiceService } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { MigrationServiceService } from '@silo/protos/gen/silo/project/v1/migration_service.ts';
import { ProjectServiceService } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { AccessServiceService } from '@silo/protos/gen/silo/token/internal/v1/access_service.ts';
import { DirectoryServiceService as TokenDirectoryServiceService } from '@silo/protos/gen/silo/token/internal/v1/directory_service.ts';
import { FactServiceService as TokenFactServiceService } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import { RegistryServiceService } from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import { SecretServiceService } from '@silo/protos/gen/silo/token/internal/v1/secret_service.ts';
import { StaffServiceService as TokenStaffServiceService } from '@silo/protos/gen/silo/token/internal/v1/staff_service.ts';
import { ApiKeyServiceService } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import { ProjectTokenServiceService } from '@silo/protos/gen/silo/token/v1/project_token_service.ts';
import { loadImage, siloMethods } from '@silo/protos/image.ts';
import { clientCredentials, type TlsFiles } from '@silo/rpc/tls.ts';
import { type ServiceName, serviceNames } from '@silo/service/config.ts';
import anyTest, { type TestFn } from 'ava';
import { certificate, certificates } from '../harness/certificates.ts';
import type { SignedUp } from '../harness/clients.ts';
import { eventually, untilInTime } from '../harness/eventually.ts';
import { startTestSilo, type TestSilo } from '../harness/silo.ts';
import { type Expected, expected } from './expected.ts';
import { consuming, requests } from './requests.ts';
import { createKey, createWorld, type World } from './world.ts';

const test = anyTest as TestFn<{ silo: TestSilo; world: World; keys: Keys }>;

type Method = MethodDefinition<object, unknown>;

const definitions = [
  AccountServiceService,
  OrganizationServiceService,
  ActivityServiceService,
  ProjectServiceService,
  EventServiceService,
  MigrationServiceService,
  ProjectTokenServiceService,
  ApiKeyServiceService,
  BillingServiceService,
  EventLogServiceService,
  OrgFactServiceService,
  DirectoryServiceService,
  OrgStaffServiceService,
  ProjectFactServiceService,
  SlotServiceService,
  MigrationPeerServiceService,
  MigrationStaffServiceService,
  RegionDirectoryServiceService,
  TokenFactServiceService,
  TokenDirectoryServiceService,
  AccessServiceService,
  RegistryServiceService,
  SecretServiceService,
  TokenStaffServiceService,
  SubscriptionServiceService,
].flatMap((service) => Object.values(service)) as unknown as Method[];

const byPath = new Map(definitions.map((method) => [method.path, method]));
const allPaths = siloMethods(loadImage()).map(({ path }) => path);

/** The callers on the public port. */
const publicCallers = [
  'no credentials',
  'a foreign account',
  'a MEMBER',
  'an ADMIN',
  'an OWNER',
  'a key without the scope',
  'a key restricted elsewhere',
  'an expired key',
  'a project token',
] as const;
type PublicCaller = (typeof publicCallers)[number];

/** The callers on the internal port, by client certificate. */
const internalCallers = [
  'no certificate',
  'a certificate of another CA',
  'a service',
  'a guard',
  'staff',
  'project of another region',
  'an edge of that region',
  'another service of that region',
  'staff of that region',
] as const;
type InternalCaller = (typeof internalCallers)[number];

const roleOf: Partial<Record<InternalCaller, Role>> = {
  'a service': Role.ROLE_SERVICE,
  'a guard': Role.ROLE_GUARD,
  staff: Role.ROLE_STAFF,
  'project of another region': Role.ROLE_REGION,
  'an edge of that region': Role.ROLE_REGION_EDGE,
  // A role that no method accepts.
  'another service of that region': Role.ROLE_UNSPECIFIED,
  'staff of that region': Role.ROLE_UNSPECIFIED,
};

/** The address of project in the other region, where nothing answers. */
const nowhere = '127.0.0.1:1';

/** Keys of the owner with less access than the owner. */
type Keys = { withoutScope(scope: string): Promise<string>; elsewhere: string; expired: string };

test.before(async (t) => {
  const silo = await startTestSilo({ regionAddresses: new Map([['eu', nowhere]]) });
  const world = await createWorld(silo);
  t.context = { silo, world, keys: await createKeys(world) };
});

test.after.always((t) => t.context.silo?.[Symbol.asyncDispose]());

async function createKeys(world: World): Promise<Keys> {
  const { api } = world.owner;
  const elsewhere = await createKey(api, { scopes: ['*'], organizationIds: [world.elsewhereId] });
  // The time may be over before a busy machine creates the key.
  const expired = await eventually(() =>
    createKey(api, { scopes: ['*'], expireTime: new Date(Date.now() + 4_000) }),
  );
  await eventually(async () => {
    const { accounts } = world.silo.as(expired.secret);
    const outcome = await accounts.getAccount({}).then(() => 'OK', reasonOf);
    if (outcome !== 'TOKEN_INVALID') throw new Error(`the key has not expired: ${outcome}`);
  });
  return {
    elsewhere: elsewhere.secret,
    expired: expired.secret,
    withoutScope: memoized(async (scope) => {
      const [area] = scope.split(':');
      const other = area === 'account' ? 'activity:write' : 'account:write';
      // Reading the area does not allow writing it.
      const scopes = scope.endsWith(':write') ? [other, `${area}:read`] : [other];
      return (await createKey(api, { scopes })).secret;
    }),
  };
}

/** One key for each scope: an account may have 100. */
function memoized(make: (scope: string) => Promise<string>): (scope: string) => Promise<string> {
  const made = new Map<string, Promise<string>>();
  return (scope) => {
    const known = made.get(scope) ?? make(scope);
    made.set(scope, known);
    return known;
  };
}

/** Outcomes of a busy machine rather than of a rule: the call is sent again. */
const unanswered = new Set(['DEPENDENCY_UNAVAILABLE', 'CALL_ENDED']);

/** The outcome of one call: the reason of its refusal, or that it passed authorization. */
function call(...calling: Parameters<typeof callOnce>): Promise<string> {
  return untilInTime(
    () => callOnce(...calling),
    (outcome) => unanswered.has(outcome),
  );
}

async function callOnce(
  address: string,
  tls: Pick<TlsFiles, 'ca'> & Partial<TlsFiles>,
  method: Method,
  request: object,
  apiKey?: string,
): Promise<string> {
  const client = new Client(address, clientCredentials(tls), {
    'grpc.ssl_target_name_override': 'localhost',
  });
  const metadata = new Metadata();
  if (apiKey !== undefined) metadata.set('authorization', `Bearer ${apiKey}`);
  const options = { deadline: Date.now() + 60_000 };
  const serialize = (value: object) => method.requestSerialize(partial(method, value));
  try {
    await new Promise<void>((resolve, reject) => {
      const ended = (error: ServiceError | null) => (error === null ? resolve() : reject(error));
      const { path, responseDeserialize: read } = method;
      if (!method.responseStream) {
        client.makeUnaryRequest(path, serialize, read, request, metadata, options, ended);
        return;
      }
      const stream = client.makeServerStreamRequest(
        path,
        serialize,
        read,
        request,
        metadata,
        options,
      );
      stream.on('data', () => {});
      stream.on('end', () => resolve());
      stream.on('error', reject);
    });
    return 'allowed';
  } catch (error) {
    const reason = reasonOf(error);
    if (reason === undefined) return `status ${(error as ServiceError).code}`;
    return refusals.has(reason) ? reason : 'allowed';
  } finally {
    client.close();
  }
}

/** Sets the fields that a request leaves out, as any client does. */
function partial(method: Method, request: object): object {
  const empty = method.requestDeserialize(Buffer.alloc(0));
  return { ...empty, ...nested(request) };
}

const nestedDefaults: Record<string, object> = {
  account: { id: '', email: '', displayName: '', currentProjectId: '', etag: '' },
  organization: { id: '', name: '', membersMayCreateProjects: false, level: 0, etag: '' },
  member: { organizationId: '', accountId: '', email: '', displayName: '', level: 0, etag: '' },
  project: { id: '', organizationId: '', name: '', state: 0, etag: '' },
};

function nested(request: object): object {
  return Object.fromEntries(
    Object.entries(request).map(([field, value]) => [
      field,
      field in nestedDefaults ? { ...nestedDefaults[field], ...value } : value,
    ]),
  );
}

/** Refusals by authorization; any other reason comes from code behind it. */
const refusals = new Set([
  'TOKEN_INVALID',
  'SCOPE_REQUIRED',
  'ADMIN_REQUIRED',
  'KEY_RESTRICTED',
  'ROLE_REQUIRED',
  'ORGANIZATION_NOT_FOUND',
  'PROJECT_NOT_FOUND',
  'UNKNOWN_METHOD',
  'SIGNUP_CLOSED',
  'INVALID_FIELD',
  'INTERNAL',
  'DEPENDENCY_UNAVAILABLE',
  'CALL_ENDED',
]);

const levels = { member: 1, admin: 2, owner: 3 } as const;
const levelOf: Partial<Record<PublicCaller, number>> = {
  'a MEMBER': 1,
  'an ADMIN': 2,
  'an OWNER': 3,
};

/** The outcome that the list requires. */
function publicOutcome(rule: Expected, caller: PublicCaller): string {
  if (rule.caller === 'anyone') return 'allowed';
  if (rule.caller === 'certificate') return 'UNKNOWN_METHOD';
  if (rule.caller === 'project token') {
    return caller === 'a project token' ? 'allowed' : 'TOKEN_INVALID';
  }
  if (caller === 'no credentials' || caller === 'an expired key' || caller === 'a project token') {
    return 'TOKEN_INVALID';
  }
  if (caller === 'a key without the scope') return 'SCOPE_REQUIRED';
  if (rule.caller === 'account') {
    return caller === 'a key restricted elsewhere' && rule.unrestricted
      ? 'KEY_RESTRICTED'
      : 'allowed';
  }
  const level = levelOf[caller];
  if (level === undefined) {
    return rule.of === 'project' ? 'PROJECT_NOT_FOUND' : 'ORGANIZATION_NOT_FOUND';
  }
  return level >= levels[rule.caller] ? 'allowed' : 'ADMIN_REQUIRED';
}

function internalOutcome(rule: Expected, caller: InternalCaller): string {
  const role = roleOf[caller];
  // Without a certificate of the deployment, connecting fails.
  if (role === undefined) return 'status 14';
  if (rule.caller !== 'certificate') return 'UNKNOWN_METHOD';
  return rule.roles.includes(role) ? 'allowed' : 'ROLE_REQUIRED';
}

function serviceOf(path: string): ServiceName {
  const [, name] = path.split('.');
  // Every service has an event log; one is tested for all.
  return serviceNames.find((service) => service === name) ?? 'org';
}

test('every RPC has a row in the list written by hand, and every row an RPC', (t) => {
  t.deepEqual(Object.keys(expected).sort(), allPaths);
  t.deepEqual(Object.keys(requests).sort(), allPaths);
  t.deepEqual([...byPath.keys()].sort(), allPaths);
});

// One after another, because all at once would take two cores longer than the calls' deadlines
// allow.
for (const path of allPaths) {
  test.serial(`${path} on the public port serves only the callers in the list`, async (t) => {
    const rule = expected[path] ?? { caller: 'anyone' };
    const outcomes: Record<string, string> = {};
    const listed: Record<string, string> = {};
    for (const caller of publicCallers) {
      outcomes[caller] = await callPublic(t.context, path, rule, caller);
      listed[caller] = publicOutcome(rule, caller);
    }
    t.deepEqual(outcomes, listed);
  });

  test.serial(`${path} on the internal port serves only the callers in the list`, async (t) => {
    const rule = expected[path] ?? { caller: 'anyone' };
    const outcomes: Record<string, string> = {};
    const listed: Record<string, string> = {};
    for (const caller of internalCallers) {
      outcomes[caller] = await callInternal(t.context, path, caller);
      listed[caller] = internalOutcome(rule, caller);
    }
    t.deepEqual(outcomes, listed);
  });
}

type Context = { silo: TestSilo; world: World; keys: Keys };

async function callPublic(
  { silo, keys, world: shared }: Context,
  path: string,
  rule: Expected,
  caller: PublicCaller,
): Promise<string> {
  const world = consuming.has(path) ? await createWorld(silo) : shared;
  const people: Partial<Record<PublicCaller, SignedUp>> = {
    'a foreign account': world.foreign,
    'a MEMBER': world.member,
    'an ADMIN': world.admin,
  };
  const person = people[caller] ?? world.owner;
  const credentials: Partial<Record<PublicCaller, string | undefined>> = {
    'no credentials': undefined,
    'a key without the scope': 'scope' in rule ? await keys.withoutScope(rule.scope) : '',
    'a key restricted elsewhere': keys.elsewhere,
    'an expired key': keys.expired,
    'a project token': world.owner.projectToken,
  };
  return await call(
    silo.addresses[serviceOf(path)].public,
    { ca: certificate('staff-operator').ca },
    methodOf(path),
    requests[path]?.(world, person) ?? {},
    caller in credentials ? credentials[caller] : person.apiKey,
  );
}

async function callInternal(
  { silo, world }: Context,
  path: string,
  caller: InternalCaller,
): Promise<string> {
  const { ca } = certificate('staff-operator');
  const otherCa = certificate('service-org', join(certificates(), 'other'));
  const tls: Record<InternalCaller, Pick<TlsFiles, 'ca'> & Partial<TlsFiles>> = {
    'no certificate': { ca },
    'a certificate of another CA': { ...otherCa, ca },
    'a service': certificate('service-org'),
    'a guard': certificate('guard-edge'),
    staff: certificate('staff-operator'),
    'project of another region': certificate('service-project', certificates('eu')),
    'an edge of that region': certificate('service-edge', certificates('eu')),
    'another service of that region': certificate('service-org', certificates('eu')),
    'staff of that region': certificate('staff-operator', certificates('eu')),
  };
  return await call(
    silo.addresses[serviceOf(path)].internal,
    tls[caller],
    methodOf(path),
    requests[path]?.(world, world.owner) ?? {},
    world.owner.apiKey,
  );
}

function methodOf(path: string): Method {
  const method = byPath.get(path);
  if (method === undefined) throw new Error(`${path} is not generated`);
  return method;
}
