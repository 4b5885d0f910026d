import type { Demand } from '@silo/access/access.ts';
import type { Authorization } from '@silo/access/authorization.ts';

/** The request_id of a call: the secret itself, and the parts that may be stored. */
export type RequestIdentity = {
  /** As the caller sent it. Never stored, logged or published. */
  id: string;
  /** SHA-256 of (account or e-mail, method, id); the key of the record. */
  key: Uint8Array;
  /** SHA-256 of the request: distinguishes a retry from another request with the same id. */
  bodyHash: Uint8Array;
};

/** One mutation, as the transaction that decides it needs it. Every `Call` is one. */
export type Mutation = Readonly<{
  /** Call id or saga id, published as `ce-correlationid`. */
  id: string;
  /** The actor, published as `ce-authid`. */
  actor: string;
  /** Undefined if the caller sent no request_id. */
  request?: RequestIdentity | undefined;
  /** Ends with the call's deadline, its cancellation, or the process. */
  signal: AbortSignal;
  /**
   * What the mutation was allowed. Its permits must be held at the commit; the event log releases
   * them as soon as the outcome is known. Undefined if no caller's access is decided on: for a
   * read, a step that follows a decision, or silo itself.
   */
  authorization: Authorization | undefined;
  /** Maximum time of the server for the commit, if it must be shorter than usual. */
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
  /** `ce-id`s of its events; those of the first call if this one repeated it. */
  readonly eventIds: readonly string[];
  /** Whether it removed no access, so that there is nothing to propagate. */
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

/** What is stored for 24 hours about a finished, or begun, request. */
export type RequestRecord = {
  bodyHash: Uint8Array;
  /**
   * What the caller of a repeat must be allowed, in addition to the scope that the method requires.
   */
  reauthorize: Demand[];
  /** The encoded answer; absent if it is sealed, or made from a saga. */
  response?: Uint8Array | undefined;
  /**
   * The encoded answer, or with `sagaId` only the secret, sealed with a key derived from the id.
   */
  sealed?: Uint8Array | undefined;
  /** The saga whose outcome is the answer. */
  sagaId?: string | undefined;
  /**
   * `ce-id`s of the events that the request's transaction wrote: a repeat awaits their sequencing.
   */
  eventIds?: string[] | undefined;
  /** Whether it removed no access, so that a repeat has nothing to await. */
  keepsAccess?: boolean | undefined;
};
