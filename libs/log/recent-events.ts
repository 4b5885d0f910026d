import { pageBytesMax } from '@silo/mongo/page.ts';
import { takeWithin } from '@silo/runtime/budget.ts';
import type { EventDocument } from './documents.ts';
import { eventBytes } from './stored-events.ts';

/** Maximum number of events, and of their bytes, that are kept for the relay and the broadcast. */
const countMax = 1_000;
const bytesMax = 8 * pageBytesMax;

/** The last events that this process has sequenced, without gaps: bounded by count and bytes. */
export class RecentEvents {
  #events: EventDocument[] = [];
  #bytes = 0;

  /**
   * Adds the events that were sequenced next. Events that do not follow the stored ones replace
   * them.
   */
  add(added: readonly EventDocument[]): void {
    const follows = this.#events.at(-1)?._id === (added[0]?._id ?? 0) - 1;
    if (!follows) this.clear();
    this.#events.push(...added);
    for (const event of added) this.#bytes += eventBytes(event);
    let dropped = 0;
    for (const event of this.#events) {
      if (this.#events.length - dropped <= countMax && this.#bytes <= bytesMax) break;
      this.#bytes -= eventBytes(event);
      dropped++;
    }
    if (dropped > 0) this.#events.splice(0, dropped);
  }

  clear(): void {
    this.#events = [];
    this.#bytes = 0;
  }

  /** Events after a sequence, at most `limit` and `pageBytesMax` bytes, and the last sequence. */
  after(
    sequence: number,
    limit: number,
  ): { events: EventDocument[]; lastSequence: number } | undefined {
    const [first] = this.#events;
    const last = this.#events.at(-1);
    if (first === undefined || last === undefined) return undefined;
    if (sequence + 1 < first._id || sequence >= last._id) return undefined;
    const from = sequence + 1 - first._id;
    const bounds = { countMax: limit, bytesMax: pageBytesMax };
    const events = takeWithin(this.#events.slice(from, from + limit), bounds, eventBytes);
    return { events, lastSequence: last._id };
  }
}
