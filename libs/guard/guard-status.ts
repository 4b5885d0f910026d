import type { Rejections } from '@silo/events/authentication.ts';
import type { FactName } from './core/facts.ts';
import type { Positions, Source } from './core/position.ts';

/** The state of a guard. */
export type GuardStatus = {
  /** Whether it now answers from memory. */
  hasReadLease: boolean;
  /** Whether it receives event batches; without NATS it gets events with its next renewal. */
  isSubscribed: boolean;
  /** The last applied event of each source. */
  positions: Positions;
  /** Numbers of remembered facts, of fact fetches in flight, and of held permits. */
  facts: number;
  fetches: number;
  permits: number;
  /** Access checks since the start, by the origin of the answer; `failed` means no answer. */
  answers: { memory: number; owners: number; failed: number };
  /** Fact fetches since the start, and how many failed. */
  fetched: { started: number; failed: number };
  /** NATS messages ignored since the start because they were not authentic, by reason. */
  ignored: Rejections;
};

/**
 * Facts that ended, by their name in events: a token's fingerprint, a key's id (or the fingerprint
 * of a secret that was unknown), a project's or an organization's id, or `<account id>
 * <organization id>` for a membership. An ended fact is not yet a denial: a product with an open
 * connection that depends on one must check again. `everything`: any fact of the source may have
 * ended.
 */
export type Revoked = { source: Source; facts: readonly FactName[] | 'everything' };
