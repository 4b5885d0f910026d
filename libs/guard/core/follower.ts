import { comparePositions, hasReached, type Position } from '@silo/log/position.ts';
import type { Reading } from './fence.ts';
import type { EventPage, GuardAction, GuardEvent } from './messages.ts';
import type { Source } from './position.ts';
import { type GuardSettings, requestTimeoutMs } from './settings.ts';

/** The effects of following a source on the guard. */
export type Follow = {
  apply(source: Source, event: GuardEvent): void;
  /** All facts of the source end, and its position begins anew. */
  restart(source: Source): void;
  emit(action: GuardAction): void;
};

/** Number of events ahead of the position that are kept until the missing ones arrive. */
const aheadMax = 1_000;

/**
 * Follows one source: its position is the last sequence that was applied. The next events are
 * applied as they arrive. Gaps, positions announced elsewhere and another incarnation are read from
 * the log.
 */
export class Follower {
  readonly #source: Source;
  readonly #settings: GuardSettings;
  readonly #follow: Follow;
  #position: Position | undefined;
  /** The latest position announced by any message. */
  #announced: Position | undefined;
  readonly #ahead = new Map<number, GuardEvent>();
  /** Whether the log was read after the last possible gap. */
  #isSure = true;
  #lastRequestId = 0;
  #reading: { requestId: number; until: number } | undefined;
  /** Requests without an answer since the last one that was answered. */
  #unanswered = 0;
  #nextMs = Number.POSITIVE_INFINITY;

  constructor(source: Source, settings: GuardSettings, follow: Follow) {
    this.#source = source;
    this.#settings = settings;
    this.#follow = follow;
  }

  get position(): Position | undefined {
    return this.#position;
  }

  get announced(): Position | undefined {
    return this.#announced;
  }

  get wakeMs(): number {
    return this.#reading?.until ?? this.#nextMs;
  }

  tick(now: Reading): void {
    if (this.#reading !== undefined && now.monotonicMs >= this.#reading.until) {
      this.#reading = undefined;
      this.#unanswered++;
      this.#isSure = false;
    }
    if (now.monotonicMs >= this.#nextMs) this.#nextMs = Number.POSITIVE_INFINITY;
    this.readIfBehind(now);
  }

  receive(incarnation: string, events: readonly GuardEvent[], now: Reading): void {
    for (const event of events) {
      this.#learn({ incarnation, sequence: event.sequence });
      if (this.#position?.incarnation === incarnation) this.#take(event);
    }
    this.readIfBehind(now);
  }

  /** Another message says that the log has reached this position. */
  mustReach(position: Position, now: Reading): void {
    this.#learn(position);
    this.readIfBehind(now);
  }

  /** Events may have been missed, so the log must be read. */
  missed(now: Reading): void {
    this.#isSure = false;
    this.readIfBehind(now);
  }

  /** The answer to a request for events; undefined if the request failed. */
  read(requestId: number, page: EventPage | undefined, now: Reading): void {
    if (requestId !== this.#reading?.requestId) return;
    this.#reading = undefined;
    if (page === undefined) {
      this.#isSure = false;
      this.#nextMs = now.monotonicMs + this.#settings.retryMs;
      return;
    }
    this.#unanswered = 0;
    const before = this.#position;
    this.#learn(page.head);
    if (before === undefined || before.incarnation < page.head.incarnation || page.isCompacted) {
      this.#restartAt(page.head);
    } else if (before.incarnation === page.head.incarnation) {
      for (const event of page.events) {
        if (event.sequence === this.#sequence() + 1) this.#apply(event);
      }
    }
    this.#applyAhead();
    const isStuck = this.#isBehind && !this.#hasMoved(before);
    if (isStuck) this.#nextMs = now.monotonicMs + this.#settings.retryMs;
    this.readIfBehind(now);
  }

  /** Reads the log if necessary, one request at a time. */
  readIfBehind(now: Reading): void {
    if (this.#reading !== undefined || now.monotonicMs < this.#waitsUntil()) return;
    if (this.#isSure && !this.#isBehind) return;
    this.#isSure = true;
    const requestId = ++this.#lastRequestId;
    const until = now.monotonicMs + requestTimeoutMs(this.#settings, this.#unanswered);
    this.#reading = { requestId, until };
    const afterSequence = this.#position?.sequence;
    this.#follow.emit({ kind: 'readEvents', requestId, source: this.#source, afterSequence });
  }

  #waitsUntil(): number {
    return this.#nextMs === Number.POSITIVE_INFINITY ? 0 : this.#nextMs;
  }

  get #isBehind(): boolean {
    const announced = this.#announced;
    return (
      this.#position === undefined ||
      (announced !== undefined && !hasReached(this.#position, announced))
    );
  }

  #learn(position: Position): void {
    if (!hasReached(this.#announced, position)) this.#announced = position;
  }

  /** Applies an event if it is the next one, and keeps it if it came too early. */
  #take(event: GuardEvent): void {
    const distance = event.sequence - this.#sequence();
    if (distance === 1) {
      this.#apply(event);
      this.#applyAhead();
    } else if (distance > 1 && distance <= aheadMax) {
      this.#ahead.set(event.sequence, event);
    }
  }

  #sequence(): number {
    return this.#position?.sequence ?? 0;
  }

  #hasMoved(before: Position | undefined): boolean {
    if (before === undefined || this.#position === undefined) return true;
    return comparePositions(this.#position, before) > 0;
  }

  #apply(event: GuardEvent): void {
    if (this.#position === undefined) return;
    this.#follow.apply(this.#source, event);
    this.#position = { incarnation: this.#position.incarnation, sequence: event.sequence };
  }

  #applyAhead(): void {
    for (;;) {
      const next = this.#ahead.get(this.#sequence() + 1);
      if (next === undefined) break;
      this.#ahead.delete(next.sequence);
      this.#apply(next);
    }
    for (const sequence of this.#ahead.keys()) {
      if (sequence <= this.#sequence()) this.#ahead.delete(sequence);
    }
  }

  #restartAt(head: Position): void {
    this.#ahead.clear();
    this.#follow.restart(this.#source);
    this.#position = head;
  }
}
