import { race } from '@silo/runtime/deadline.ts';
import type { Db, Document } from 'mongodb';
import { collectionOptions } from './read.ts';

/** Where work may wait for a process: documents of a collection that match a filter. */
export type Place = { collection: string; filter: Document };

type Look = { place: Place; onFound: () => void };

/**
 * Checks several places in one statement: whether MongoDB answers, and where work waits. An idle
 * process needs no other statement to notice work that other processes left.
 */
export class Pulse {
  readonly #db: Db;
  readonly #looks = new Set<Look>();
  #answered = false;

  constructor(db: Db) {
    this.#db = db;
  }

  /**
   * Checks once. Returns false if MongoDB does not answer within that time. Uses a timer, because
   * `timeoutMS` has no effect in the driver 7.9.0, and `maxTimeMS` does not end a command at a
   * server that stands still.
   */
  async answersWithin(withinMs: number): Promise<boolean> {
    try {
      await race(this.#look(withinMs), AbortSignal.timeout(withinMs));
      this.#answered = true;
    } catch {
      this.#answered = false;
    }
    return this.#answered;
  }

  /** Whether MongoDB answered the last check. */
  get answered(): boolean {
    return this.#answered;
  }

  /** Resolves when a check finds work at the place, or after `maxMs`, or with the signal. */
  async wait(place: Place, maxMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = { place, onFound: resolve };
    const timer = setTimeout(resolve, maxMs);
    const onAbort = () => resolve();
    signal.addEventListener('abort', onAbort, { once: true });
    this.#looks.add(look);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      this.#looks.delete(look);
    }
  }

  async #look(maxTimeMS: number): Promise<void> {
    const looks = [...this.#looks];
    const [first, ...others] = looks.map(({ place }, index) => ({
      coll: place.collection,
      pipeline: [
        { $match: place.filter },
        { $limit: 1 },
        { $project: { _id: { $literal: index } } },
      ],
    }));
    if (first === undefined) {
      await this.#db.command({ ping: 1 });
      return;
    }
    const stages = [...first.pipeline, ...others.map((other) => ({ $unionWith: other }))];
    const found = this.#db
      .collection(first.coll, collectionOptions)
      .aggregate<{ _id: number }>(stages, { maxTimeMS });
    for (const { _id } of await found.toArray()) looks[_id]?.onFound();
  }
}
