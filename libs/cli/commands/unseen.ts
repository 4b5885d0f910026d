import type { Event, EventFilter } from '@silo/protos/gen/silo/project/v1/event.ts';

// More than one round reads, so that what a round may return again is still known.
const seenMax = 10_000;
// How late an event may come, by its own time, and still be shown.
const lateMs = 60_000;

/** Remembers which events have been shown. */
export class Unseen {
  readonly #seen = new Set<string>();
  #receivedMs: number | undefined;

  /** Of a list, newest first, those that are new, oldest first. */
  of(events: readonly Event[]): Event[] {
    const found: Event[] = [];
    for (const event of events.toReversed()) {
      if (!this.#seen.delete(event.uuid)) found.push(event);
      this.#seen.add(event.uuid);
      // Not by the event's own time: one of next year would hide all that come until then.
      const receivedMs = event.receiveTime?.getTime() ?? 0;
      this.#receivedMs = Math.max(this.#receivedMs ?? 0, receivedMs);
    }
    for (const uuid of this.#seen) {
      if (this.#seen.size <= seenMax) break;
      this.#seen.delete(uuid);
    }
    return found;
  }

  /** The filter for what may be new. */
  narrow(filter: EventFilter): EventFilter {
    if (this.#receivedMs === undefined) return filter;
    const fromMs = Math.max(this.#receivedMs - lateMs, filter.startTime?.getTime() ?? 0);
    return { ...filter, startTime: new Date(fromMs) };
  }
}
