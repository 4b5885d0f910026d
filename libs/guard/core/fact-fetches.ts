import { EndedNames } from './ended-names.ts';
import { type Ended, type FactKind, type FactName, type FactRef, sourceOfKind } from './facts.ts';
import type { Lookup } from './lookup.ts';
import type { Source } from './position.ts';

/** A fact fetch in flight. */
export type FactFetch = {
  readonly id: number;
  readonly ref: FactRef;
  /** Sent without a read lease: its result is for one lookup only, and is never cached. */
  readonly isPrivate: boolean;
  /** Whether an event has ended the fact since the fetch was sent, as far as its name was known. */
  hasEnded: boolean;
  /** For a key: the number of names of ended keys when the fetch was sent. */
  readonly endedBefore: number;
  readonly waiting: Lookup[];
};

/**
 * The fact fetches in flight, including those that no lookup waits for any more: each stays until
 * its result or failure arrives.
 */
export class FactFetches {
  readonly #max: number;
  readonly #inFlight = new Map<number, FactFetch>();
  readonly #shared: Record<FactKind, Map<string, FactFetch>> = {
    token: new Map(),
    key: new Map(),
    project: new Map(),
    organization: new Map(),
    membership: new Map(),
  };
  readonly #endedKeys = new EndedNames();
  #lastId = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#inFlight.size;
  }

  /** The fact fetch that a lookup which starts now may join. */
  joinable({ kind, id }: FactRef): FactFetch | undefined {
    return this.#shared[kind].get(id);
  }

  /** Registers a new fact fetch; undefined if too many are in flight. */
  send(ref: FactRef, isPrivate: boolean): FactFetch | undefined {
    if (this.#inFlight.size >= this.#max) return undefined;
    const fetch: FactFetch = {
      ...{ id: ++this.#lastId, ref, isPrivate, hasEnded: false, waiting: [] },
      endedBefore: this.#endedKeys.count,
    };
    this.#inFlight.set(fetch.id, fetch);
    if (!isPrivate) this.#shared[ref.kind].set(ref.id, fetch);
    return fetch;
  }

  /** Call this when the result or failure of a fact fetch arrives. */
  end(id: number): FactFetch | undefined {
    const fetch = this.#inFlight.get(id);
    if (fetch === undefined) return undefined;
    this.#inFlight.delete(id);
    this.#unshare(fetch);
    return fetch;
  }

  /**
   * Whether no event since the fetch was sent has ended the fact that it found, under this name.
   */
  isFresh({ ref, hasEnded, endedBefore }: FactFetch, name: string): boolean {
    if (hasEnded) return false;
    return ref.kind !== 'key' || !this.#endedKeys.hasSince(endedBefore, [name, nameOfRef(ref)]);
  }

  /**
   * Call this when an event was applied. With `mayShare`, later lookups may still join these
   * fetches (control runs).
   */
  invalidate(source: Source, ended: Ended, mayShare: boolean): void {
    if (ended !== 'everything') {
      for (const { kind, name } of ended) if (kind === 'key') this.#endedKeys.add(name);
    }
    for (const fetch of this.#inFlight.values()) {
      if (sourceOfKind[fetch.ref.kind] !== source) continue;
      if (ended !== 'everything' && !ended.some((name) => mayEnd(name, fetch.ref))) continue;
      // Other keys change all the time, so a key fetch is compared later, by the id that it finds.
      if (ended === 'everything' || fetch.ref.kind !== 'key') fetch.hasEnded = true;
      if (!mayShare) this.#unshare(fetch);
    }
  }

  #unshare(fetch: FactFetch): void {
    const shared = this.#shared[fetch.ref.kind];
    if (shared.get(fetch.ref.id) === fetch) shared.delete(fetch.ref.id);
  }
}

/**
 * Whether an event may end the fact that a fetch reads. The id of a key is known only from its
 * result.
 */
function mayEnd({ kind, name }: FactName, ref: FactRef): boolean {
  if (kind !== ref.kind) return false;
  return kind === 'key' || name === nameOfRef(ref);
}

/** The name under which events end a fact of which only the reference is known. */
function nameOfRef({ id, fingerprint }: FactRef): string {
  return fingerprint ?? id;
}
