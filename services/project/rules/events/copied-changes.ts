import type { EventPlace } from './event-range.ts';

/** An event of a copy, or one that its source has sent. */
export type CopiedEvent = {
  /** Its primary key. */
  key: string;
  place: EventPlace;
  document: Uint8Array;
};

/**
 * What is to be taken from a copy and added to it, so that it has of some events what its source has
 * sent of them. `stored` are all of them that the copy has. Those that the scan of the source has not
 * reached are left to it.
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
