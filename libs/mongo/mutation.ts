import type { Demand } from '@silo/access/access.ts';
import type { Authorization } from '@silo/access/authorization.ts';

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
export type Mutation = Readonly<{
  /** Call id or saga id: `ce-correlationid`. */
  id: string;
  /** The actor: `ce-authid`. */
  actor: string;
  /** Undefined where the caller sent no request_id. */
  request?: RequestIdentity | undefined;
  /** Ends with the call's deadline, its cancellation, or the process. */
  signal: AbortSignal;
  /**
   * What it was allowed. Its permits must be held at the commit; the event log releases them as
   * soon as the outcome is known. Undefined where nobody's access is decided on: a read, a step
   * that follows a decision, or silo itself.
   */
  authorization: Authorization | undefined;
  /** MongoDB's time for the commit at most, where it must be shorter than usual. */
  commitTimeMaxMs?: number | undefined;
  /** Whether the caller awaits the position of its events. */
  awaitsPosition?: boolean | undefined;
  /** Refuses, by throwing, a retry of the recorded request. Undefined: every caller may retry. */
  checkRepeat?: ((record: RequestRecord) => Promise<void>) | undefined;
}>;

/** A response as its handler returns it: the pipeline adds `propagation`. */
export type Unpropagated<Response> = Omit<Response, 'propagation'>;

/** The outcome of a mutation, decided now or by an earlier call with the same request_id. */
export class Outcome<Response> {
  readonly response: Unpropagated<Response>;
  /** `ce-id`s of its events, the first call's where this one repeated it. */
  readonly eventIds: readonly string[];
  /** Whether it took access away from nobody, so that there is nothing to propagate. */
  readonly keepsAccess: boolean;
  /** Whether an earlier call with this request_id had decided it. */
  readonly repeated: boolean;

  constructor(
    response: Unpropagated<Response>,
    decision: { eventIds?: string[] | undefined; keepsAccess?: boolean | undefined },
    { repeated }: { repeated: boolean },
  ) {
    this.response = response;
    this.eventIds = decision.eventIds ?? [];
    this.keepsAccess = decision.keepsAccess ?? false;
    this.repeated = repeated;
  }
}

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
