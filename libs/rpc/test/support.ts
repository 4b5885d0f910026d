import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Access, Answer, Question } from '@silo/access/access.ts';
import {
  type CertificateRole,
  issueCertificate,
  openCertificateAuthority,
} from '@silo/embedded/certificates.ts';
import { reasonOf } from '@silo/errors/from-status.ts';
import { lastingPermit } from '@silo/guard/test/lasting-permit.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { EventLogServiceService } from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import { FactServiceService } from '@silo/protos/gen/silo/org/internal/v1/fact_service.ts';
import { StaffServiceService } from '@silo/protos/gen/silo/org/internal/v1/staff_service.ts';
import { AccountServiceService } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { ActivityServiceService } from '@silo/protos/gen/silo/org/v1/activity_service.ts';
import { MigrationPeerServiceService } from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import { createLogger, silentLogger } from '@silo/runtime/log.ts';
import { hashOf, newApiKey } from '@silo/tokens/secrets.ts';
import type { ExecutionContext } from 'ava';
import type { Call } from '../call.ts';
import { connect as connectClient, createChannel, type RpcChannel } from '../client.ts';
import { defaultLimits } from '../limits.ts';
import { type Handlers, mount } from '../mount.ts';
import { type RunningServer, type ServerOptions, startServer } from '../server.ts';
import type { TlsFiles } from '../tls.ts';

export const region = 'us';

/** Certificates of one CA, in a directory that is removed with the test. */
export async function makeAuthority(t: ExecutionContext, authorityRegion = region) {
  const directory = await mkdtemp(join(tmpdir(), 'silo-rpc-'));
  t.teardown(() => rm(directory, { recursive: true }));
  const authority = await openCertificateAuthority(directory, { region: authorityRegion });
  return async (role: CertificateRole, name: string, of = authorityRegion): Promise<TlsFiles> => {
    const issuing = { ...authority, directory: join(directory, of), region: of };
    const { certificate, key } = await issueCertificate(issuing, { role, name });
    return { ca: authority.certificateFile, cert: certificate, key };
  };
}

/** Certificates of two regions, each with its own CA; their CA file contains both CAs. */
export async function makeRegions(t: ExecutionContext) {
  const [us, eu] = [await makeAuthority(t, 'us'), await makeAuthority(t, 'eu')];
  const [{ ca: usCa }, { ca: euCa }] = [await us('server', 'any'), await eu('server', 'any')];
  const ca = `${usCa}.bundle`;
  await writeFile(ca, [await readFile(usCa), await readFile(euCa)].join('\n'));
  return {
    us: async (role: CertificateRole, name: string) => ({ ...(await us(role, name)), ca }),
    eu: async (role: CertificateRole, name: string) => ({ ...(await eu(role, name)), ca }),
  };
}

/** A log whose lines a test can read. */
export function keptLog() {
  const lines: string[] = [];
  const destination = { write: (line: string) => lines.push(line) };
  // The real logger, which must not redact the essential parts of a line.
  const log = createLogger({ service: 'test', region: 'us', level: 'debug', destination });
  return { log, lines };
}

export const fullKey = newApiKey();
export const narrowKey = newApiKey();
export const organizationId = `org_us_${'0'.repeat(26)}`;
export const accountId = `acc_${'0'.repeat(26)}`;

/** Decides like the guard: `fullKey` may do anything in `organizationId`, `narrowKey` nothing. */
export function ruledAccess(): Access & { questions: Question[] } {
  const questions: Question[] = [];
  const fact = { keyId: `key_${'0'.repeat(26)}`, accountId, organizationIds: [], projectIds: [] };
  const authorize = async (question: Question): Promise<Answer> => {
    questions.push(question);
    const isFull = hashOf(fullKey).equals(question.keyHash);
    const isNarrow = hashOf(narrowKey).equals(question.keyHash);
    const key = { ...fact, scopes: isFull ? ['*'] : [], expireTime: undefined, disabled: false };
    const refuse = (reason: ErrorReason, detail = ''): Answer => ({
      allowed: false,
      refusal: { reason, detail },
      key: isFull || isNarrow ? key : undefined,
    });
    if (!isFull && !isNarrow) return refuse(ErrorReason.ERROR_REASON_TOKEN_INVALID);
    if (isNarrow && question.scope) {
      return refuse(ErrorReason.ERROR_REASON_SCOPE_REQUIRED, question.scope);
    }
    if (question.organizationId === undefined) return { allowed: true, facts: { key } };
    if (question.organizationId !== organizationId) {
      return refuse(ErrorReason.ERROR_REASON_ORGANIZATION_NOT_FOUND, question.organizationId);
    }
    const organization = {
      id: organizationId,
      level: Level.LEVEL_ADMIN,
      fact: { membersMayCreateProjects: true },
    };
    return { allowed: true, facts: { key, organization } };
  };
  const verifyToken = () => Promise.reject(new TypeError('no test verifies project tokens'));
  const permit = lastingPermit(authorize);
  const recallToken = () => undefined;
  return { questions, authorize, recallToken, verifyToken, permit, permitToken: verifyToken };
}

const account = {
  id: accountId,
  email: 'a@example.com',
  displayName: 'A',
  currentProjectId: '',
  createTime: undefined,
  updateTime: undefined,
  etag: '',
};

export const createAccountRequest = {
  email: 'A@Example.com',
  displayName: 'A',
  organizationName: 'A',
  requestId: '3f2b8c1e-6f0a-4c55-9d3e-0a1b2c3d4e5f',
};

export const createAccountResponse = {
  account,
  organization: undefined,
  projectId: '',
  projectToken: '',
  apiKeyId: '',
  apiKey: '',
};

/** The handlers of a test, each with the name of its method, as `mount` requires. */
function named<T extends object>(handlers: T): T {
  for (const [name, handler] of Object.entries(handlers)) {
    if (typeof handler === 'function') Object.defineProperty(handler, 'name', { value: name });
  }
  return handlers;
}

export function accountService(handlers: Partial<Handlers<typeof AccountServiceService>> = {}) {
  return mount(AccountServiceService, {
    createAccount: async () => createAccountResponse,
    getAccount: async () => ({ account }),
    updateAccount: async () => ({ account }),
    ...named(handlers),
  });
}

export function activityService() {
  return mount(ActivityServiceService, {
    listActivity: async () => ({ entries: [], nextPageToken: '' }),
  });
}

export function factService(handlers: Partial<Handlers<typeof FactServiceService>> = {}) {
  return mount(FactServiceService, {
    getOrganizationFact: async () => ({ organization: undefined }),
    getMembershipFact: async () => ({ level: Level.LEVEL_MEMBER }),
    ...named(handlers),
  });
}

/** The service that regions call; LocateHere returns the caller's region as the project id. */
export function peerService() {
  const locateHere = async (_: unknown, call: Call) => ({ region: '', projectId: call.actor });
  const forwardCapture = async (_: unknown, call: Call) => ({
    outcomes: [{ uuid: call.actor, result: 0, violations: [] }],
  });
  const refuse = () => Promise.reject(new TypeError('no test calls it'));
  const others = Object.keys(MigrationPeerServiceService).map((name) => [name, () => refuse()]);
  const handlers = named({ ...Object.fromEntries(others), locateHere, forwardCapture });
  return mount(
    MigrationPeerServiceService,
    handlers as Handlers<typeof MigrationPeerServiceService>,
  );
}

export function staffService() {
  return mount(StaffServiceService, {
    createAccount: async () => ({ account: createAccountResponse }),
    changeEmail: async (_, call) => ({ account: { ...account, displayName: call.actor } }),
  });
}

export function eventLogService(handlers: Partial<Handlers<typeof EventLogServiceService>> = {}) {
  return mount(EventLogServiceService, {
    readEvents: async function* () {},
    getHead: async () => ({ head: undefined }),
    ...named(handlers),
  });
}

const { rates } = defaultLimits;
/** Tests call with invalid keys more often than one address may. */
const manyCalls = { ...defaultLimits, rates: { ...rates, addressPoints: 1_000_000 } };

/** A server on a free port that stops at the end of the test. */
export async function serve(
  t: ExecutionContext,
  options: Partial<ServerOptions> & Pick<ServerOptions, 'tls' | 'internal' | 'services'>,
): Promise<RunningServer> {
  const server = await startServer({
    address: 'localhost:0',
    region,
    access: ruledAccess(),
    log: silentLogger(),
    limits: manyCalls,
    ...options,
  });
  t.teardown(() => server.drain(0));
  return server;
}

/** The reason of a rejected promise, such as `TOKEN_INVALID`; `OK` if it resolves. */
export async function outcomeOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => 'OK',
    (error: unknown) => reasonOf(error) ?? String(error),
  );
}

/** A channel that is closed at the end of the test. */
export function channelTo(
  t: ExecutionContext,
  server: RunningServer | string,
  tls: Parameters<typeof createChannel>[1],
): RpcChannel {
  const address = typeof server === 'string' ? server : server.address;
  const channel = createChannel(address, tls);
  t.teardown(() => channel.close());
  return channel;
}

/**
 * The library's `connect` with a generous deadline, for tests that are not about the default one.
 */
export const connect: typeof connectClient = (generated, channel, defaults) =>
  connectClient(generated, channel, { deadlineMs: 60_000, ...defaults });

/** All messages of a stream. */
export async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of stream) all.push(one);
  return all;
}
