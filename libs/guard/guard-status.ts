import type { Rejections } from '@silo/events/authentication.ts';
import type { FactName } from './core/facts.ts';
import type { Positions, Source } from './core/position.ts';

/** How a guard is. */
export type GuardStatus = {
  /** Whether it answers from memory now. */
  hasReadLease: boolean;
  /** Whether it receives event batches; without NATS it gets events with its next renewal. */
  isSubscribed: boolean;
  /** The last event of each source that it has applied. */
  positions: Positions;
  /** Facts that it remembers, questions under way to their owners, and permits that are held. */
  facts: number;
  fetches: number;
  permits: number;
  /** Access checks since it began, by where the answer came from; `failed`: no answer. */
  answers: { memory: number; owners: number; failed: number };
  /** Fetches of facts from their owners since it began, and those that failed. */
  fetched: { started: number; failed: number };
  /** NATS messages ignored since it began because they were not authentic, by reason. */
  ignored: Rejections;
};

/**
 * Facts that ended, by the name that they have in events: a token's fingerprint, a key's id (or the
 * fingerprint of a secret that was unknown), a project's or an organization's id, or
 * `<account id> <organization id>` of a membership. An ended fact is not yet a denial: a product
 * that keeps a connection open that rests on one of them checks again. `everything`: any fact of
 * the source may have ended.
 */
export type Revoked = { source: Source; facts: readonly FactName[] | 'everything' };
