import type { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import type { Level } from '@silo/protos/gen/silo/common/v1/level.ts';

/** The request_id of a call: the secret itself, and what may be stored of it. */
export type RequestIdentity = {
  /** As the caller sent it. Never stored, logged or published. */
  id: string;
  /** SHA-256 of (account or e-mail, method, id): names the record. */
  key: Uint8Array;
  /** SHA-256 of the request: tells the same request from another one under the same id. */
  bodyHash: Uint8Array;
};

/** How far a key reaches: what it may do, where, and until when. */
export type Reach = {
  scopes: readonly string[];
  /** Restrictions; a key that names neither kind is not restricted. */
  organizationIds: readonly string[];
  projectIds: readonly string[];
  /** Undefined: it never expires. */
  expireTime?: Date | undefined;
};

/** What somebody must be allowed: which scope, where, at which level, with what kind of key. */
export type Demand = {
  /** Such as `project:write`; undefined demands no scope. */
  scope?: string | undefined;
  /**
   * The target: an organization or a project; neither asks about the account itself. Both: the
   * project as one that the organization owned, wherever it is now.
   */
  organizationId?: string | undefined;
  projectId?: string | undefined;
  /** The least level in the target's organization; LEVEL_MEMBER unless given. */
  level?: Level | undefined;
  /** Whether the organization must let the account create projects: ADMIN where members may not. */
  createsProjects?: boolean | undefined;
  /**
   * Allows a target that is gone, too. A deleted project is judged by the organization that owned
   * it; what does not exist any more, or not yet, by the key's restriction alone.
   */
  evenGone?: boolean | undefined;
  /** What is said to be not found where the target is hidden; the target itself unless given. */
  hiddenAs?: { reason: ErrorReason; detail: string } | undefined;
  /** Whether a restricted key is refused. */
  unrestricted?: boolean | undefined;
  /** The key that is acted on: a restricted key knows of no other key than itself. */
  keyId?: string | undefined;
  /** What must lie within the calling key. */
  within?: Reach | undefined;
};

/**
 * The right to decide one mutation on access that was looked at when it was taken. Held until it is
 * released or its time is over, and then for good: to be asked right before the commit.
 */
export type Permit = { isHeld(): boolean; release(): void };

/** What one mutation is, to the transaction that decides it. Every `Call` is one. */
export type Mutation = {
  /** Call id or saga id: `ce-correlationid`. */
  id: string;
  /** Who does it: `ce-authid`. */
  actor: string;
  /** Undefined where the caller sent no request_id. */
  request?: RequestIdentity | undefined;
  /** Ends with the call's deadline, its cancellation, or the process. */
  signal: AbortSignal;
  /**
   * What it may be decided by, all of which must be held at the commit; the event log releases them
   * as soon as the outcome is known. Undefined where nobody's access is decided on: a read, a step
   * that follows a decision, or silo itself.
   */
  permits: Permit[] | undefined;
  /** Whether its caller awaits the position of what it tells. */
  awaitsPosition?: boolean | undefined;
  /**
   * What the caller was allowed before the decision: what a repeat of the request is authorized by,
   * unless the decision says otherwise. Undefined where no key calls.
   */
  allowed?: Demand[] | undefined;
  /** Refuses, by throwing, a repeat of the recorded request. Undefined: whoever calls may repeat. */
  checkRepeat?: ((record: RequestRecord) => Promise<void>) | undefined;
  /** Noted by the event log once it is decided, now or by an earlier call with the request_id. */
  outcome?: Outcome | undefined;
};

/** What a decided mutation came to, for those who spread it. */
export type Outcome = {
  /** `ce-id`s of what it told. */
  eventIds: string[];
  /** Whether it took access away from nobody. */
  keepsAccess: boolean;
};

/** What is remembered of a finished, or begun, request for 24 hours. */
export type RequestRecord = {
  bodyHash: Uint8Array;
  /** What the caller of a repeat must be allowed, beside the scope that the method demands. */
  reauthorize: Demand[];
  /** The encoded answer; absent where it is sealed, or made from a saga. */
  response?: Uint8Array | undefined;
  /** Encoded answer, or with `sagaId` the secret alone, sealed with a key derived from the id. */
  sealed?: Uint8Array | undefined;
  /** The saga whose outcome is the answer. */
  sagaId?: string | undefined;
  /** `ce-id`s of the events that the request's transaction wrote: a repeat awaits their place. */
  eventIds?: string[] | undefined;
  /** Whether it took access away from nobody, so that a repeat has nothing to await. */
  keepsAccess?: boolean | undefined;
};
