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

/** An organization on which a repeat of the request is authorized again. */
export type Reauthorization = {
  organizationId: string;
  level: Level;
  /** Where the request was about a project: what a restricted key must reach. */
  projectId?: string;
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
  /** Where a repeat is authorized again. */
  reauthorize: Reauthorization[];
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
