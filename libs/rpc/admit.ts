import type { Metadata } from '@grpc/grpc-js';
import type { Access, Answer, Question } from '@silo/access/access.ts';
import { errors } from '@silo/errors/errors.ts';
import { Caller, Role } from '@silo/protos/gen/silo/common/v1/authorization.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import type { KeyFact } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import { fingerprintOf, hashOf } from '@silo/tokens/secrets.ts';
import type { CallDraft } from './call.ts';
import { checkAccess } from './check-access.ts';
import { keyHashOf, projectTokenOf } from './credentials.ts';
import type { Arrival } from './front.ts';
import { type KnownRegions, type PeerIdentity, roleIn } from './identity.ts';
import type { MethodRules } from './method-rules.ts';
import type { Answered } from './mount.ts';
import { refusalError, tooLarge } from './refusal.ts';
import { findRepeat, type Ledger, type Repeat } from './repeat.ts';
import { checkRepeat, type EndedKey, type FindEndedKey } from './repeat-access.ts';
import { identify } from './request-identity.ts';
import type { Shaped } from './validate.ts';

/** What admission needs from the process. */
export type AdmissionOptions = KnownRegions & {
  /** Required if a method is called with API keys. */
  access?: Access | undefined;
  /** Remembers requests; without it a request_id is only passed on. */
  ledger?: Ledger | undefined;
  /** Finds keys that ended themselves; without it, such a key cannot repeat its request. */
  findEndedKey?: FindEndedKey | undefined;
  onTokenRefused?: OnTokenRefused | undefined;
};

/**
 * Receives each project token that is refused: its hash, and what its sender reports about itself.
 */
export type OnTokenRefused = (refused: {
  /** SHA-256 of the token. */
  tokenHash: Uint8Array;
  /** The user agent; '' if there is none. */
  library: string;
  /** The web page's origin; '' if there is none. */
  origin: string;
}) => void;

/** What is known about a call before anything is decided. */
export type Incoming = {
  rules: MethodRules;
  call: CallDraft;
  bytes: Buffer;
  metadata: Metadata;
  arrival: Arrival;
  /** The client certificate's identity; undefined if there is no usable certificate. */
  identity(): PeerIdentity | undefined;
  encodeRequest(request: unknown): Buffer;
};

/** The request for the handler, or the answer of an earlier call with the same request_id. */
export type Admitted = { request: unknown } | Answered;

/**
 * Decides whether a call reaches its handler: authenticate, check shape, authorize, and look for an
 * earlier call with the same request_id. Sets the caller. Refuses by throwing.
 */
export async function admit(incoming: Incoming, options: AdmissionOptions): Promise<Admitted> {
  refuseTooLarge(incoming);
  switch (incoming.rules.authorization.caller) {
    case Caller.CALLER_ANYONE:
      return await admitAnyone(incoming, options);
    case Caller.CALLER_CERTIFICATE:
      return await admitCertificate(incoming, options);
    case Caller.CALLER_API_KEY:
      return await admitKey(incoming, options);
    case Caller.CALLER_PROJECT_TOKEN:
      return await admitToken(incoming, options);
    case Caller.CALLER_UNSPECIFIED:
      throw new TypeError(`${incoming.rules.path} has no authorization option`);
  }
}

/**
 * Only this check knows the size of a compressed request; the front knows only the size that its
 * prefix states.
 */
function refuseTooLarge({ rules, bytes, arrival }: Incoming): void {
  const isPublic = arrival.rates !== undefined;
  if (!isPublic || bytes.length <= rules.requestBytesMax) return;
  throw tooLarge(rules.requestBytesMax);
}

async function admitAnyone(incoming: Incoming, { ledger }: AdmissionOptions): Promise<Admitted> {
  const { rules, bytes } = incoming;
  const request = wellShaped(rules.readShape(bytes));
  const { rates, network } = incoming.arrival;
  if (rules.mayChange) await rates?.takeSignup(network);
  if (rules.readEmail === undefined) return { request };
  return await repeatOr(incoming, request, rules.readEmail(request), ledger);
}

async function admitCertificate(
  incoming: Incoming,
  { ledger, ...regions }: AdmissionOptions,
): Promise<Admitted> {
  const { rules, bytes, call } = incoming;
  const { roles } = rules.authorization;
  const identity = incoming.identity();
  const role = identity && roleIn(identity, regions);
  if (identity !== undefined) call.actor = actorOf(identity, role);
  if (identity === undefined || role === undefined || !roles.includes(role)) {
    throw errors.roleRequired(roles);
  }
  call.caller = { kind: 'certificate', role, name: nameIn(identity, role) };
  const request = wellShaped(rules.readShape(bytes));
  return await repeatOr(incoming, request, call.actor, ledger);
}

const roleNames: Record<Role, string> = {
  [Role.ROLE_UNSPECIFIED]: 'nobody',
  [Role.ROLE_SERVICE]: 'service',
  [Role.ROLE_GUARD]: 'guard',
  [Role.ROLE_STAFF]: 'staff',
  [Role.ROLE_REGION]: 'region',
  [Role.ROLE_REGION_EDGE]: 'region-edge',
};

function actorOf(identity: PeerIdentity, role = identity.role): string {
  return `${roleNames[role]}/${nameIn(identity, role)}`;
}

/** For roles of other regions, the region: the role already implies the name. */
function nameIn({ region, name }: PeerIdentity, role: Role): string {
  const isElsewhere = role === Role.ROLE_REGION || role === Role.ROLE_REGION_EDGE;
  return isElsewhere ? region : name;
}

/**
 * For callers that are already admitted: returns an earlier call's answer, or the request for the
 * handler.
 */
async function repeatOr(
  incoming: Incoming,
  request: unknown,
  scope: string,
  ledger: Ledger | undefined,
): Promise<Admitted> {
  const { call } = incoming;
  const repeat = await rememberedRequest(incoming, request, scope, ledger);
  if (repeat === undefined) return { request };
  return answeredOr(call, request, repeat);
}

/**
 * The answer of an earlier call; else the request for the handler, which may join the saga that
 * makes the answer.
 */
function answeredOr(
  call: CallDraft,
  request: unknown,
  { record, answer, joins }: Repeat,
): Admitted {
  call.repeat = joins;
  if (answer === undefined) return { request };
  const { eventIds = [], keepsAccess = false } = record;
  return { answer, outcome: { eventIds, keepsAccess } };
}

async function rememberedRequest(
  { rules, call, encodeRequest }: Incoming,
  request: unknown,
  scope: string,
  ledger: Ledger | undefined,
) {
  const id = rules.readRequestId?.(request) ?? '';
  if (id === '') return undefined;
  call.request = identify(scope, rules.path, id, encodeRequest(request));
  return ledger && (await findRepeat(ledger, call.request, call.signal));
}

async function admitKey(incoming: Incoming, options: AdmissionOptions): Promise<Admitted> {
  const { rates, network } = incoming.arrival;
  const keyHash = keyHashOf(incoming.metadata);
  const work = async () => {
    if (keyHash === undefined) throw errors.tokenInvalid();
    return await admitKeyHash(incoming, keyHash, options);
  };
  return await (rates === undefined ? work() : rates.authenticate(network, keyHash, work));
}

async function admitKeyHash(
  incoming: Incoming,
  keyHash: Buffer,
  options: AdmissionOptions,
): Promise<Admitted> {
  const { rules, call, bytes } = incoming;
  const { access } = options;
  if (access === undefined) throw new TypeError(`${rules.path} needs access checks`);
  const shaped = withTarget(rules, rules.readShape(bytes));
  if (shaped.violations !== undefined) {
    const answer = await access.authorize({ keyHash }, call.signal);
    await recognize(incoming, keyHash, answer);
    if (isDead(answer)) throw errors.tokenInvalid();
    throw errors.invalidField(shaped.violations);
  }
  const { request } = shaped;
  const question = questionOf(rules, keyHash, request);
  if (rules.readRequestId?.(request)) {
    const repeated = await admitRepeat(incoming, request, question, { ...options, access });
    if (repeated !== undefined) return repeated;
  }
  // A mutation depends on this check; a retry needs no permit.
  const answer = await checkAccess(access, call, question);
  await recognize(incoming, keyHash, answer);
  if (!answer.allowed) throw refusalError(answer.refusal);
  call.caller = { kind: 'key', keyHash, ...answer.facts };
  const { keyHash: _, ...demanded } = question;
  call.authorization?.addDemand(demanded);
  return { request };
}

/**
 * Admits a call with a project token. Takes the permit that binds what the call stores to the
 * token: a revocation of the token completes only after the permit ends.
 */
async function admitToken(
  incoming: Incoming,
  { access, onTokenRefused }: AdmissionOptions,
): Promise<Admitted> {
  const { rules, call, bytes, metadata, arrival } = incoming;
  if (access === undefined) throw new TypeError(`${rules.path} needs access to verify tokens`);
  const { rates, network } = arrival;
  const token = projectTokenOf(metadata);
  const tokenHash = token === undefined ? undefined : hashOf(token);
  const verify = async () => {
    if (token === undefined || tokenHash === undefined) throw errors.tokenInvalid();
    const answer = await access.permitToken(token, call.signal);
    if (!answer.allowed) {
      const { reason } = answer.refusal;
      // If the project is only held, the token is still valid.
      if (reason !== ErrorReason.ERROR_REASON_NOT_READY) {
        onTokenRefused?.({ tokenHash, library: textOf(metadata, 'user-agent'), origin: '' });
      }
      throw refusalError(answer.refusal);
    }
    call.authorization?.addPermit(answer.permit);
    call.actor = `token/${fingerprintOf(tokenHash)}`;
    const { allowed: _, ...caller } = answer;
    call.caller = { kind: 'token', ...caller };
    arrival.accepted(tokenHash);
    await rates?.takeProject(answer.projectId);
  };
  await (rates === undefined ? verify() : rates.authenticate(network, tokenHash, verify));
  return { request: wellShaped(rules.readShape(bytes)) };
}

function textOf(metadata: Metadata, name: string): string {
  const [value] = metadata.get(name);
  return typeof value === 'string' ? value : '';
}

/**
 * For a key that sends a request_id: the answer of an earlier call with it; undefined if there is
 * none.
 */
async function admitRepeat(
  incoming: Incoming,
  request: unknown,
  question: Question,
  { access, ledger, findEndedKey }: AdmissionOptions & { access: Access },
): Promise<Admitted | undefined> {
  const { call } = incoming;
  const { keyHash } = question;
  const { signal } = call;
  const answer = await access.authorize(question, signal);
  await recognize(incoming, keyHash, answer);
  const key = keyOf(answer) ?? nothingAllowed(await findEndedKey?.(keyHash, signal));
  if (key === undefined) throw refusalOf(answer);
  call.actor = key.accountId;
  call.caller = { kind: 'key', keyHash, key };
  const repeat = await rememberedRequest(incoming, request, key.accountId, ledger);
  const { request: identity } = call;
  if (identity === undefined) throw new TypeError('a request without an id is not a repeat');
  // Also checked if the first call is decided while this one is running.
  call.checkRepeat = (record) =>
    checkRepeat(record, identity, question, { access, findEndedKey, signal });
  if (repeat === undefined) {
    if (!answer.allowed) throw refusalError(answer.refusal);
    return undefined;
  }
  await call.checkRepeat(repeat.record);
  return answeredOr(call, request, repeat);
}

/** The facts of a key that has ended itself, as far as they are still known. */
function nothingAllowed(ended: EndedKey | undefined): KeyFact | undefined {
  if (ended === undefined) return undefined;
  const { keyId, accountId } = ended;
  const nothing = { scopes: [], organizationIds: [], projectIds: [] };
  return { keyId, accountId, ...nothing, expireTime: undefined, disabled: true };
}

function questionOf(
  { authorization, target }: MethodRules,
  keyHash: Uint8Array,
  request: unknown,
): Question {
  const { scope, level, unrestricted } = authorization;
  return {
    keyHash,
    scope: scope || undefined,
    organizationId: target.organizationId?.(request) || undefined,
    projectId: target.projectId?.(request) || undefined,
    level: level || undefined,
    unrestricted: unrestricted || undefined,
  };
}

/** A request without the target that it must name has an invalid shape. */
function withTarget({ target }: MethodRules, shaped: Shaped): Shaped {
  if (shaped.violations !== undefined || target.paths.length === 0) return shaped;
  const { request } = shaped;
  if (target.organizationId?.(request) || target.projectId?.(request)) return shaped;
  return { violations: target.paths.map((field) => ({ field, description: 'must be set' })) };
}

function wellShaped(shaped: Shaped): unknown {
  if (shaped.violations !== undefined) throw errors.invalidField(shaped.violations);
  return shaped.request;
}

function keyOf(answer: Answer): KeyFact | undefined {
  return answer.allowed ? answer.facts.key : answer.key;
}

/**
 * Records the owner of the key, also for the log line of a rejected call. Counts the call once for
 * the account, and for the organization if the account belongs to it.
 */
async function recognize(
  { call, arrival: { accepted, rates } }: Incoming,
  keyHash: Uint8Array,
  answer: Answer,
): Promise<void> {
  const key = keyOf(answer);
  if (key === undefined || call.actor === key.accountId) return;
  call.actor = key.accountId;
  accepted(keyHash);
  await rates?.takeAccount(key.accountId);
  const organization = answer.allowed ? answer.facts.organization : undefined;
  if (organization !== undefined) await rates?.takeOrganization(organization.id);
}

function isDead(answer: Answer): boolean {
  return !answer.allowed && answer.refusal.reason === ErrorReason.ERROR_REASON_TOKEN_INVALID;
}

function refusalOf(answer: Answer): Error {
  return answer.allowed ? errors.tokenInvalid() : refusalError(answer.refusal);
}
