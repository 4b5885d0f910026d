import type { Answer, TokenAnswer } from '@silo/access/access.ts';
import type { Position } from '@silo/log/position.ts';
import type { Ended, FactRef, FactValues } from './facts.ts';
import type { AccessCheck } from './lookup.ts';
import type { Permit } from './permits.ts';
import type { Positions, Source } from './position.ts';
import type { LeaseNumbers } from './settings.ts';

/** An event in the form that a guard needs; `ends` comes from `endedBy`. */
export type GuardEvent = { sequence: number; ends: Ended; traced?: TracedEvent | undefined };

/** Data for a span about an event; undefined if the change is not traced. */
type TracedEvent = { traceparent: string; type: string; id: string; sequence: number };

/** The registry's answer to an acquisition. `taken`: the id is in use, so another one is needed. */
export type AcquireAnswer = { numbers: LeaseNumbers } | 'taken';

/** The registry's answer to a renewal. */
export type RenewAnswer =
  | { result: 'granted'; numbers: LeaseNumbers }
  /** The read lease begins once these positions are applied. */
  | { result: 'behind'; required: Positions; numbers: LeaseNumbers }
  /** The lease does not exist: acquire another. */
  | { result: 'lost' };

/**
 * The inputs of a guard. An `undefined` reply means that the request failed, or its outcome is
 * unknown.
 */
export type GuardInput =
  | { kind: 'start' }
  /** Due at `wakeMonotonicMs()`; additional ticks are harmless. */
  | { kind: 'tick' }
  /** Consecutive events from NATS. */
  | { kind: 'batch'; source: Source; head: Position; events: readonly GuardEvent[] }
  /**
   * Events of the source, or of all sources, may have been missed; the subscription is active from
   * now on.
   */
  | { kind: 'missed'; source?: Source | undefined }
  | { kind: 'read'; requestId: number; source: Source; page: EventPage | undefined }
  | { kind: 'acquired'; requestId: number; reply: AcquireAnswer | undefined }
  | { kind: 'renewed'; requestId: number; reply: RenewAnswer | undefined }
  | { kind: 'factFetched'; fetchId: number; reply: FetchReply | undefined }
  | { kind: 'lookup'; lookupId: number; check: AccessCheck; wantsPermit: boolean }
  /** The caller no longer waits. */
  | { kind: 'cancelLookup'; lookupId: number }
  /** The permit's transaction has ended with a known outcome. */
  | { kind: 'releasePermit'; permit: Permit }
  /** The process is ending: the lease is released, and nothing is answered from memory any more. */
  | { kind: 'drain' };

/** The result of a fact fetch; an undefined value means that the thing does not exist. */
export type FetchReply = { value: FactValues[keyof FactValues] | undefined };

/**
 * The events after a position, in order, and the log's head. `isCompacted`: the log no longer
 * contains the events after the position. Events may end before the head.
 */
export type EventPage = { events: GuardEvent[]; head: Position; isCompacted: boolean };

/** Actions that a guard requests, to be performed at once and in order. */
export type GuardAction =
  | { kind: 'acquire'; requestId: number; leaseId: string; guardName: string }
  | {
      kind: 'renew';
      requestId: number;
      leaseId: string;
      applied: Positions;
      acknowledged: Positions;
    }
  | { kind: 'release'; leaseId: string }
  /** Sent over core NATS. Positions only grow, so the last one of a turn is enough. */
  | {
      kind: 'acknowledge';
      leaseId: string;
      guardName: string;
      positions: Positions;
      applied: Positions;
    }
  /** An event was applied: whatever depends on these facts must be checked again. */
  | { kind: 'ended'; source: Source; ends: Ended; traced?: TracedEvent | undefined }
  /** Without `afterSequence`, only the head is read. */
  | { kind: 'readEvents'; requestId: number; source: Source; afterSequence: number | undefined }
  /** One linearizable read. `isPrivate`: it was sent without a read lease. */
  | { kind: 'fetchFact'; fetchId: number; ref: FactRef; isPrivate: boolean }
  | {
      kind: 'answer';
      lookupId: number;
      answer: TokenAnswer | Answer;
      permit: Permit | undefined;
    }
  /** The lookup failed closed, which says nothing about access. */
  | {
      kind: 'unavailable';
      lookupId: number;
      why: 'no-read-lease' | 'fetch-failed' | 'too-many-fetches';
    };
