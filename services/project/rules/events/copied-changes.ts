import type { EventPlace } from './event-range.ts';

/** An event of a copy, or one that its source has sent. */
export type CopiedEvent = {
  /** The primary key. */
  key: string;
  place: EventPlace;
  document: Uint8Array;
};

/**
 * Decides which stored events of a copy to remove, and which sent ones to add, so that the copy
 * equals what its source has sent for some events. Takes the stored events one by one, because all
 * of them may be too large for memory. Events that the source's scan has not reached are left to
 * the scan.
 */
export class CopiedChanges<Sent extends CopiedEvent> {
  readonly #isReached: (place: EventPlace) => boolean;
  /** The sent events that are not known to be stored. */
  readonly #left: Map<string, Sent>;

  /** If an event was sent twice, the later one counts. */
  constructor(sent: readonly Sent[], isReached: (place: EventPlace) => boolean) {
    this.#isReached = isReached;
    this.#left = new Map(sent.map((event) => [event.key, event]));
  }

  /** Whether the stored event must be removed. Takes each stored event once. */
  removes(stored: CopiedEvent): boolean {
    const now = this.#left.get(stored.key);
    if (now === undefined) return true;
    if (!this.#isReached(now.place)) return this.#isReached(stored.place);
    const isSame = Buffer.compare(now.document, stored.document) === 0;
    if (isSame) this.#left.delete(stored.key);
    return !isSame;
  }

  /** The events to add after all stored events were taken. */
  get added(): Sent[] {
    return [...this.#left.values()].filter(({ place }) => this.#isReached(place));
  }
}
