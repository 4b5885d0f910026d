import type { Event, EventFilter } from '@silo/protos/gen/silo/project/v1/event.ts';

// Larger than what one round reads, so that events that a round returns again are still recognized.
const seenMax = 10_000;
// An event is still shown if its own time is at most this far in the past.
const lateMs = 60_000;

/** Remembers which events have been shown. */
export class Unseen {
  readonly #seen = new Set<string>();
  #receivedMs: number | undefined;

  /** The new events of a list that begins with the newest; returned oldest first. */
  of(events: readonly Event[]): Event[] {
    const found: Event[] = [];
    for (const event of events.toReversed()) {
      if (!this.#seen.delete(event.uuid)) found.push(event);
      this.#seen.add(event.uuid);
      // The receive time, not the event's own time: an event dated next year would hide all later
      // ones.
      const receivedMs = event.receiveTime?.getTime() ?? 0;
      this.#receivedMs = Math.max(this.#receivedMs ?? 0, receivedMs);
    }
    for (const uuid of this.#seen) {
      if (this.#seen.size <= seenMax) break;
      this.#seen.delete(uuid);
    }
    return found;
  }

  /** Narrows the filter to events that may be new. */
  narrow(filter: EventFilter): EventFilter {
    if (this.#receivedMs === undefined) return filter;
    const fromMs = Math.max(this.#receivedMs - lateMs, filter.startTime?.getTime() ?? 0);
    return { ...filter, startTime: new Date(fromMs) };
  }
}
