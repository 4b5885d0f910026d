import { EndedNames } from './ended-names.ts';
import { type Ended, type FactKind, type FactName, type FactRef, sourceOfKind } from './facts.ts';
import type { Lookup } from './lookup.ts';
import type { Source } from './position.ts';

/** One question to a fact's owner that is under way. */
export type FactFetch = {
  readonly id: number;
  readonly ref: FactRef;
  /** Sent without a read lease: for its caller alone, never cached. */
  readonly isPrivate: boolean;
  /** An event has ended the fact, as far as its name was known, since the fetch was sent. */
  hasEnded: boolean;
  /** Of a key: how many names of keys had been ended when the fetch was sent. */
  readonly endedBefore: number;
  readonly waiting: Lookup[];
};

/**
 * The fact fetches in flight, those included that nobody waits for any more: each stays until its
 * result or failure is returned.
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

  /** A new fact fetch; undefined where too many are in flight. */
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

  /** The result or failure of a fact fetch is there. */
  end(id: number): FactFetch | undefined {
    const fetch = this.#inFlight.get(id);
    if (fetch === undefined) return undefined;
    this.#inFlight.delete(id);
    this.#unshare(fetch);
    return fetch;
  }

  /** Whether no event has ended what a fetch has found, under this name, since it was sent. */
  isFresh({ ref, hasEnded, endedBefore }: FactFetch, name: string): boolean {
    if (hasEnded) return false;
    return ref.kind !== 'key' || !this.#endedKeys.hasSince(endedBefore, [name, nameOfRef(ref)]);
  }

  /** An event was applied. `mayShare`: whether later lookups go on joining (control runs). */
  invalidate(source: Source, ended: Ended, mayShare: boolean): void {
    if (ended !== 'everything') {
      for (const { kind, name } of ended) if (kind === 'key') this.#endedKeys.add(name);
    }
    for (const fetch of this.#inFlight.values()) {
      if (sourceOfKind[fetch.ref.kind] !== source) continue;
      if (ended !== 'everything' && !ended.some((name) => mayEnd(name, fetch.ref))) continue;
      // Other keys change all the time: a key's own change shows by the id that is found.
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
 * Whether an event may end what a fact fetch reads: of a key, the id is not known before its
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
