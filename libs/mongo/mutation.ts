import type { Demand } from '@silo/access/access.ts';
import type { Permit } from '@silo/access/permits.ts';

/** The request_id of a call: the secret itself, and what may be stored of it. */
export type RequestIdentity = {
  /** As the caller sent it. Never stored, logged or published. */
  id: string;
  /** SHA-256 of (account or e-mail, method, id): names the record. */
  key: Uint8Array;
  /** SHA-256 of the request: distinguishes a retry from another request with the same id. */
  bodyHash: Uint8Array;
};

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
  /** Whether the caller awaits the position of its events. */
  awaitsPosition?: boolean | undefined;
  /**
   * What the caller was allowed before the decision: what a repeat of the request is authorized by,
   * unless the decision says otherwise. Undefined where no key calls.
   */
  allowed?: Demand[] | undefined;
  /** Refuses, by throwing, a retry of the recorded request. Undefined: every caller may retry. */
  checkRepeat?: ((record: RequestRecord) => Promise<void>) | undefined;
  /** Noted by the event log once it is decided, now or by an earlier call with the request_id. */
  outcome?: Outcome | undefined;
};

/** What a decided mutation came to, for those who spread it. */
export type Outcome = {
  /** `ce-id`s of its events. */
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
