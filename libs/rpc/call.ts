import type { AccessFacts, TokenPermitAnswer } from '@silo/access/access.ts';
import type { Mutation, Outcome, RequestRecord, Unpropagated } from '@silo/mongo/mutation.ts';
import type { Role } from '@silo/protos/gen/silo/common/v1/authorization.ts';
import type { Logger } from 'pino';
import type { Encoded } from './encoded.ts';

/** The caller, as identified by the method's option. */
export type Caller =
  | { kind: 'anyone' }
  | ({ kind: 'key'; keyHash: Uint8Array } & AccessFacts)
  | ({ kind: 'token' } & Omit<Extract<TokenPermitAnswer, { allowed: true }>, 'allowed'>)
  | { kind: 'certificate'; role: Role; name: string };

/** The key caller of a method whose option says CALLER_API_KEY. */
export type KeyCaller = Extract<Caller, { kind: 'key' }>;

/** The token caller of a method whose option says CALLER_PROJECT_TOKEN. */
export type TokenCaller = Extract<Caller, { kind: 'token' }>;

/**
 * What a handler knows about the call that it serves. A `Call` is also the `Mutation` that it
 * decides.
 */
export type Call = Readonly<
  Mutation & {
    /** gRPC path, such as `/silo.org.v1.AccountService/GetAccount`. */
    method: string;
    caller: Caller;
    /** The record of an earlier call with this request_id, if a saga is still making its answer. */
    repeat?: RequestRecord | undefined;
    /** Milliseconds left until the call's deadline. */
    remainingMs(): number;
    log: Logger;
  }
>;

/** A call during its admission. Only admission writes to it; handlers and the event log cannot. */
export type CallDraft = { -readonly [Field in keyof Call]: Call[Field] };

/**
 * Implements one unary method: validate, authorize, act, answer. Refuses by throwing. Returns the
 * response, or the outcome of the mutation that the method is. `dependencies` are what the handlers
 * of a service use, passed to `mount`.
 */
export type Handler<Request, Response, Dependencies = undefined> = (
  request: Request,
  call: Call,
  dependencies: Dependencies,
) => Promise<Unpropagated<Response> | Outcome<Response> | Encoded>;

/** The caller of a method that only API keys may call. */
export function keyCaller(call: Call): KeyCaller {
  if (call.caller.kind !== 'key') throw new TypeError(`${call.method} has no key caller`);
  return call.caller;
}

/** The caller of a method that only project tokens may call. */
export function tokenCaller(call: Call): TokenCaller {
  if (call.caller.kind !== 'token') throw new TypeError(`${call.method} has no token caller`);
  return call.caller;
}

/** The organization that is the target by the method's option. */
export function targetOrganization(call: Call): NonNullable<AccessFacts['organization']> {
  const { organization } = keyCaller(call);
  if (organization === undefined) throw new TypeError(`${call.method} has no target organization`);
  return organization;
}

/** The project that is the target by the method's option. */
export function targetProject(call: Call): NonNullable<AccessFacts['project']> {
  const { project } = keyCaller(call);
  if (project === undefined) throw new TypeError(`${call.method} has no target project`);
  return project;
}
