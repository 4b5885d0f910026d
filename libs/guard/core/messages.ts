import type { Answer, TokenAnswer } from '@silo/access/access.ts';
import type { Position } from '@silo/log/position.ts';
import type { Ended, FactRef, FactValues } from './facts.ts';
import type { AccessCheck } from './lookup.ts';
import type { Permit } from './permits.ts';
import type { Positions, Source } from './position.ts';
import type { LeaseNumbers } from './settings.ts';

/** An event as a guard needs it; `ends` by `endedBy`. */
export type GuardEvent = { sequence: number; ends: Ended; traced?: TracedEvent | undefined };

/** What a span about an event needs; undefined: the change is not traced. */
type TracedEvent = { traceparent: string; type: string; id: string; sequence: number };

/** The registry's answer to an acquisition. `taken`: another id is needed. */
export type AcquireAnswer = { numbers: LeaseNumbers } | 'taken';

/** The registry's answer to a renewal. */
export type RenewAnswer =
  | { result: 'granted'; numbers: LeaseNumbers }
  /** The same, once this is applied. */
  | { result: 'behind'; required: Positions; numbers: LeaseNumbers }
  /** There is no such lease: acquire another. */
  | { result: 'lost' };

/** The inputs of a guard. `undefined` as a reply: the request failed, or its outcome is unknown. */
export type GuardInput =
  | { kind: 'start' }
  /** Due at `wakeMonotonicMs()`; more often does no harm. */
  | { kind: 'tick' }
  /** Events on NATS, one after the other. */
  | { kind: 'batch'; source: Source; head: Position; events: readonly GuardEvent[] }
  /**
   * Events of the source, or of all, may have been missed: the subscription is active from now on.
   */
  | { kind: 'missed'; source?: Source | undefined }
  | { kind: 'read'; requestId: number; source: Source; page: EventPage | undefined }
  | { kind: 'acquired'; requestId: number; reply: AcquireAnswer | undefined }
  | { kind: 'renewed'; requestId: number; reply: RenewAnswer | undefined }
  | { kind: 'factFetched'; fetchId: number; reply: FetchReply | undefined }
  | { kind: 'lookup'; lookupId: number; check: AccessCheck; wantsPermit: boolean }
  /** The caller waits no more. */
  | { kind: 'cancelLookup'; lookupId: number }
  /** The permit's transaction has ended, and its outcome is known. */
  | { kind: 'releasePermit'; permit: Permit }
  /** The process ends: the lease is released and nothing is answered from memory any more. */
  | { kind: 'drain' };

/** What a fact fetch found; an undefined value: that there is none. */
export type FetchReply = { value: FactValues[keyof FactValues] | undefined };

/**
 * What follows a position, in order, and the log's head. `isCompacted`: the log no longer holds
 * what follows. Events may end before the head.
 */
export type EventPage = { events: GuardEvent[]; head: Position; isCompacted: boolean };

/** What a guard wants done, at once and in order. */
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
  /** Core NATS. Positions only grow, so that of several in a turn the last is enough. */
  | {
      kind: 'acknowledge';
      leaseId: string;
      guardName: string;
      positions: Positions;
      applied: Positions;
    }
  /** An event was applied: what rests on these facts is to be looked at anew. */
  | { kind: 'ended'; source: Source; ends: Ended; traced?: TracedEvent | undefined }
  /** Without `afterSequence` only the head is wanted. */
  | { kind: 'readEvents'; requestId: number; source: Source; afterSequence: number | undefined }
  /** One linearizable read. `isPrivate`: it was sent without a read lease. */
  | { kind: 'fetchFact'; fetchId: number; ref: FactRef; isPrivate: boolean }
  | {
      kind: 'answer';
      lookupId: number;
      answer: TokenAnswer | Answer;
      permit: Permit | undefined;
    }
  /** The lookup failed closed; nothing is said about access. */
  | {
      kind: 'unavailable';
      lookupId: number;
      why: 'no-read-lease' | 'fetch-failed' | 'too-many-fetches';
    };
