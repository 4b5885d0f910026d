import type { RenewAnswer } from '@silo/guard/core/messages.ts';
import type { Positions, Source } from '@silo/guard/core/position.ts';
import type { LeaseNumbers } from '@silo/guard/core/settings.ts';
import type { Position } from '@silo/log/position.ts';

/** A guard's lease as it is stored. */
export type StoredLease = {
  id: string;
  /** The identity in the certificate that acquired it, such as `service/org`. */
  owner: string;
  guardName: string;
  /** 0 when acquired; every renewal adds 1. */
  version: number;
  acknowledged: Positions;
  /**
   * The longest L that any of its read leases was granted under: replicas may be set differently.
   */
  leaseMs: number;
};

/**
 * What the store does, each in one majority-durable step:
 * - `insertLease`: a new lease, version 0; changes nothing if there is one of that id, or was one
 *   that is released. Yields whether there is one of this owner.
 * - `renewLease`: version + 1, the later of both acknowledgements and the longer `leaseMs`; with
 *   `owner`, only if the lease is theirs. Yields whether there is such a lease.
 * - `readRequirement`: what is required, at least as new as the last `renewLease` that was known
 *   to be done before the request: all that was durable before that lease was written.
 * - `raiseRequirement`: the later of each position; done only when durable.
 * - `listLeases`: all leases, at least as new as every write known before the request.
 * - `releaseLease`: ends a lease, also one that is yet to be inserted: an Acquire may be carried out
 *   after the Release. With `owner`, only if the lease is theirs.
 * - `deleteLease`: with `version`, only if it still has that.
 * - `readHead`: reads the head of a source's log.
 */
export type StoreOperation =
  | { kind: 'insertLease'; lease: StoredLease }
  | {
      kind: 'renewLease';
      leaseId: string;
      owner: string | undefined;
      acknowledged: Positions;
      leaseMs: number;
    }
  | { kind: 'readRequirement' }
  | { kind: 'raiseRequirement'; positions: Positions }
  | { kind: 'listLeases' }
  | { kind: 'releaseLease'; leaseId: string; owner: string | undefined }
  | { kind: 'deleteLease'; leaseId: string; version: number | undefined }
  | { kind: 'readHead'; source: Source };

/** What came of an operation. `failed`: or nobody knows. */
export type StoreResult =
  | { kind: 'done' }
  | { kind: 'failed' }
  | { kind: 'found'; isFound: boolean }
  | { kind: 'requirement'; required: Positions }
  | { kind: 'head'; head: Position }
  | { kind: 'leases'; leases: readonly StoredLease[] };

/** What became of a barrier; the counts are leases. */
export type BarrierReport = {
  positions: Positions;
  guards: number;
  acknowledged: number;
  /** Those that stayed silent until every read lease without the change was over. */
  expired: number;
  elapsedMs: number;
};

/**
 * The calls that a replica takes; each may be repeated. Lease ids are made by guards, once each;
 * `owner` is the identity in the caller's certificate.
 */
export type RegistryCall =
  | { kind: 'acquire'; leaseId: string; owner: string; guardName: string }
  | { kind: 'renew'; leaseId: string; owner: string; applied: Positions; acknowledged: Positions }
  | { kind: 'release'; leaseId: string; owner: string }
  /** Of a source's relay: the requirement alone, so that a revoke whose RPC died is bounded. */
  | { kind: 'require'; positions: Positions }
  | { kind: 'awaitBarrier'; positions: Positions };

/** What a guard has acknowledged, and what it had applied by then. */
export type AcknowledgedMessage = {
  leaseId: string;
  guardName: string;
  positions: Positions;
  applied: Positions;
};

/** The inputs of a replica. */
export type RegistryInput =
  | { kind: 'call'; callId: number; call: RegistryCall }
  /** The caller waits no more. */
  | { kind: 'abandon'; callId: number }
  /** On core NATS, received by every replica, which has found it authentic. */
  | ({ kind: 'acknowledged' } & AcknowledgedMessage)
  /** A source has broadcast events up to there. */
  | { kind: 'committed'; positions: Positions }
  | { kind: 'stored'; operationId: number; result: StoreResult }
  | { kind: 'tick' };

/** The answer to a call. `failed`: UNAVAILABLE; of a barrier PROPAGATION_UNCONFIRMED. */
export type RegistryReply =
  | { kind: 'acquired'; numbers: LeaseNumbers }
  /** The lease of that id is released, or belongs to another certificate. */
  | { kind: 'taken' }
  | { kind: 'renewed'; answer: RenewAnswer }
  | { kind: 'released' }
  | { kind: 'required' }
  | { kind: 'passed'; report: BarrierReport }
  | { kind: 'failed' };

/** What a replica wants done, at once. */
export type RegistryAction =
  /** A guard sent a position that is not accepted: for metrics and log. */
  | { kind: 'claimRejected'; leaseId: string; why: 'beyond_log' | 'beyond_applied' }
  | { kind: 'store'; operationId: number; operation: StoreOperation }
  | { kind: 'reply'; callId: number; reply: RegistryReply };
