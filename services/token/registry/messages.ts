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
   * The longest L under which any of its read leases was granted: replicas may have different
   * settings.
   */
  leaseMs: number;
};

/**
 * The operations of the store. Each is one step that is durable at a majority:
 * - `insertLease`: inserts a lease with version 0. Changes nothing if the id exists already, or was
 *   released. Yields whether this owner has a lease with this id.
 * - `renewLease`: increments the version, and keeps the later acknowledgements and the longer
 *   `leaseMs`. With `owner`, requires that the lease belongs to this owner. Yields whether there is
 *   such a lease.
 * - `readRequirement`: reads the requirement. It includes every requirement that was durable before
 *   the last `renewLease` whose completion was known before this request.
 * - `raiseRequirement`: raises the requirement to the later of each position. Done only when
 *   durable.
 * - `listLeases`: lists all leases, at least as new as every write known before the request.
 * - `releaseLease`: ends a lease, even one that is inserted later: an Acquire may be carried out
 *   after the Release. With `owner`, requires that the lease belongs to this owner.
 * - `deleteLease`: deletes a lease. With `version`, only if it still has this version.
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

/** The result of an operation. `failed`: it failed, or its outcome is unknown. */
export type StoreResult =
  | { kind: 'done' }
  | { kind: 'failed' }
  | { kind: 'found'; isFound: boolean }
  | { kind: 'requirement'; required: Positions }
  | { kind: 'head'; head: Position }
  | { kind: 'leases'; leases: readonly StoredLease[] };

/** The report of a barrier. The counts are numbers of leases. */
export type BarrierReport = {
  positions: Positions;
  guards: number;
  acknowledged: number;
  /** Leases that had not acknowledged when every read lease without the change had ended. */
  expired: number;
  elapsedMs: number;
};

/**
 * The calls that a replica takes. Each may be repeated. Guards generate lease ids, and use each
 * once; `owner` is the identity in the caller's certificate.
 */
export type RegistryCall =
  | { kind: 'acquire'; leaseId: string; owner: string; guardName: string }
  | { kind: 'renew'; leaseId: string; owner: string; applied: Positions; acknowledged: Positions }
  | { kind: 'release'; leaseId: string; owner: string }
  /**
   * Raises the requirement only. A source's relay sends it, so that a revocation takes effect in
   * bounded time even if its RPC failed.
   */
  | { kind: 'require'; positions: Positions }
  | { kind: 'awaitBarrier'; positions: Positions };

/** The positions that a guard has acknowledged, and those that it had applied by then. */
export type AcknowledgedMessage = {
  leaseId: string;
  guardName: string;
  positions: Positions;
  applied: Positions;
};

/** The inputs of a replica. */
export type RegistryInput =
  | { kind: 'call'; callId: number; call: RegistryCall }
  /** The caller does not wait any more. */
  | { kind: 'abandon'; callId: number }
  /** Received on core NATS by every replica, which has authenticated it. */
  | ({ kind: 'acknowledged' } & AcknowledgedMessage)
  /** A source has broadcast events up to these positions. */
  | { kind: 'committed'; positions: Positions }
  | { kind: 'stored'; operationId: number; result: StoreResult }
  | { kind: 'tick' };

/** The reply to a call. `failed` becomes UNAVAILABLE, and PROPAGATION_UNCONFIRMED for a barrier. */
export type RegistryReply =
  | { kind: 'acquired'; numbers: LeaseNumbers }
  /** The lease with that id is released, or belongs to another certificate. */
  | { kind: 'taken' }
  | { kind: 'renewed'; answer: RenewAnswer }
  | { kind: 'released' }
  | { kind: 'required' }
  | { kind: 'passed'; report: BarrierReport }
  | { kind: 'failed' };

/** An action that the replica's shell performs at once. */
export type RegistryAction =
  /** A guard sent a position that is not accepted. For metrics and the log. */
  | { kind: 'claimRejected'; leaseId: string; why: 'beyond_log' | 'beyond_applied' }
  | { kind: 'store'; operationId: number; operation: StoreOperation }
  | { kind: 'reply'; callId: number; reply: RegistryReply };
