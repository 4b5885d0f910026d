import type { EventPlace } from './event-range.ts';

/** An event of a copy, or one that its source has sent. */
export type CopiedEvent = {
  /** The primary key. */
  key: string;
  place: EventPlace;
  document: Uint8Array;
};

/**
 * The events to remove from a copy and to add to it so that it equals what its source has sent for
 * some events. `stored` are those of them that the copy has. Events that the source's scan has not
 * reached are left to the scan.
 */
export function copiedChanges<Stored extends CopiedEvent, Sent extends CopiedEvent>(
  stored: readonly Stored[],
  sent: readonly Sent[],
  isReached: (place: EventPlace) => boolean,
): { removed: Stored[]; added: Sent[] } {
  const before = new Map(stored.map((event) => [event.key, event]));
  const after = new Map(sent.map((event) => [event.key, event]));
  const isSame = (one: CopiedEvent | undefined, other: CopiedEvent) =>
    one !== undefined && Buffer.compare(one.document, other.document) === 0;
  return {
    removed: [...before.values()].filter((event) => {
      const now = after.get(event.key);
      if (now === undefined) return true;
      return isReached(now.place) ? !isSame(now, event) : isReached(event.place);
    }),
    added: [...after.values()].filter(
      (event) => isReached(event.place) && !isSame(before.get(event.key), event),
    ),
  };
}
