import type { EventDigest } from '../rules/events/event-digest.ts';
import type { EventPlace } from '../rules/events/event-range.ts';
import type { EventBytes } from './copied-events.ts';

/** A range of the source, with or without its documents. */
export type SentRange = {
  last: EventPlace;
  digest: EventDigest;
  events: readonly EventBytes[] | undefined;
  /** Bytes of documents that the source has read; absent: the bytes of the events. */
  bytesRead?: number;
};

/** Events that have changed at the source, and those of them that exist there. */
export type SentChanges = { uuids: readonly Uint8Array[]; events: readonly EventBytes[] };

/** Bytes of the documents. */
export function bytesIn(sent: readonly EventBytes[]): number {
  return sent.reduce((sum, { document }) => sum + document.length, 0);
}

/** Bytes of the documents that the source has read for these ranges. */
export function bytesReadFor(ranges: readonly SentRange[]): number {
  return ranges.reduce(
    (sum, { bytesRead, events = [] }) => sum + (bytesRead ?? bytesIn(events)),
    0,
  );
}
