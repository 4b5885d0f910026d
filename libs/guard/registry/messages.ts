import type { RenewAnswer } from '../core/messages.ts';
import type { Positions } from '../core/position.ts';
import type { LeaseNumbers } from '../core/settings.ts';

/** A guard's lease as it is stored. */
export type StoredLease = {
  id: string;
  guardName: string;
  /** 0 when acquired; every renewal adds 1. */
  version: number;
  acknowledged: Positions;
  /** The longest L that any of its views was granted under: replicas may be set differently. */
  leaseMs: number;
};

/**
 * What the store does, each in one majority-durable step:
 * - `insertLease`: a new lease, version 0; changes nothing if there is one of that id.
 * - `renewLease`: version + 1, the later of both acknowledgements and the longer `leaseMs`; yields
 *   whether there is one.
 * - `readRequirement`: what is required, at least as new as the last `renewLease` that was known
 *   to be done before the request: all that was durable before that lease was written.
 * - `raiseRequirement`: the later of each position; done only when durable.
 * - `listLeases`: all leases, at least as new as every write known before the request.
 * - `deleteLease`: with `version`, only if the lease still has it. Yields whether it is gone by it.
 */
export type StoreOperation =
  | { kind: 'insertLease'; lease: StoredLease }
  | { kind: 'renewLease'; leaseId: string; acknowledged: Positions; leaseMs: number }
  | { kind: 'readRequirement' }
  | { kind: 'raiseRequirement'; positions: Positions }
  | { kind: 'listLeases' }
  | { kind: 'deleteLease'; leaseId: string; version: number | undefined };

/** What came of an operation. `failed`: or nobody knows. */
export type StoreResult =
  | { kind: 'done' }
  | { kind: 'failed' }
  | { kind: 'found'; isFound: boolean }
  | { kind: 'requirement'; required: Positions }
  | { kind: 'leases'; leases: readonly StoredLease[] };

/** What became of a barrier; the counts are leases. */
export type BarrierReport = {
  positions: Positions;
  guards: number;
  acknowledged: number;
  /** Those that stayed silent until every view without the change was over. */
  expired: number;
  elapsedMs: number;
};

/** The calls that a replica takes; each may be repeated. Lease ids are made by guards, once each. */
export type RegistryCall =
  | { kind: 'acquire'; leaseId: string; guardName: string }
  | { kind: 'renew'; leaseId: string; applied: Positions; acknowledged: Positions }
  | { kind: 'release'; leaseId: string }
  /** Of a source's relay: the requirement alone, so that a revoke whose RPC died is bounded. */
  | { kind: 'require'; positions: Positions }
  | { kind: 'awaitBarrier'; positions: Positions };

/** What a replica is told. */
export type RegistryInput =
  | { kind: 'call'; callId: number; call: RegistryCall }
  /** The caller waits no more. */
  | { kind: 'abandon'; callId: number }
  /** On core NATS, heard by every replica. */
  | { kind: 'acknowledged'; leaseId: string; guardName: string; positions: Positions }
  | { kind: 'stored'; operationId: number; result: StoreResult }
  | { kind: 'tick' };

/** The answer to a call. `failed`: UNAVAILABLE; of a barrier PROPAGATION_UNCONFIRMED. */
export type RegistryReply =
  | { kind: 'acquired'; numbers: LeaseNumbers }
  | { kind: 'renewed'; answer: RenewAnswer }
  | { kind: 'released' }
  | { kind: 'required' }
  | { kind: 'passed'; report: BarrierReport }
  | { kind: 'failed' };

/** What a replica wants done, at once. */
export type RegistryAction =
  | { kind: 'store'; operationId: number; operation: StoreOperation }
  | { kind: 'reply'; callId: number; reply: RegistryReply };
