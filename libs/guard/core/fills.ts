import { type Ended, type FactKind, type FactName, type FactRef, sourceOfKind } from './facts.ts';
import type { LookUp } from './look-up.ts';
import type { Source } from './position.ts';

/** One question to a fact's owner that is under way. */
export type Fill = {
  readonly id: number;
  readonly ref: FactRef;
  /** Sent without a view: for its caller alone, never cached. */
  readonly isPrivate: boolean;
  /** Whether nothing invalidated the fact since the fill was sent. */
  isFresh: boolean;
  readonly waiting: LookUp[];
};

/**
 * The fills in flight, those included that nobody waits for any more: each stays until its result
 * or failure is returned.
 */
export class Fills {
  readonly #max: number;
  readonly #inFlight = new Map<number, Fill>();
  readonly #shared: Record<FactKind, Map<string, Fill>> = {
    token: new Map(),
    key: new Map(),
    project: new Map(),
    organization: new Map(),
    membership: new Map(),
  };
  #lastId = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#inFlight.size;
  }

  /** The fill that a look-up which starts now may join. */
  joinable({ kind, id }: FactRef): Fill | undefined {
    return this.#shared[kind].get(id);
  }

  /** A new fill; undefined where too many are in flight. */
  send(ref: FactRef, isPrivate: boolean): Fill | undefined {
    if (this.#inFlight.size >= this.#max) return undefined;
    const fill: Fill = { id: ++this.#lastId, ref, isPrivate, isFresh: true, waiting: [] };
    this.#inFlight.set(fill.id, fill);
    if (!isPrivate) this.#shared[ref.kind].set(ref.id, fill);
    return fill;
  }

  /** The result or failure of a fill is there. */
  end(id: number): Fill | undefined {
    const fill = this.#inFlight.get(id);
    if (fill === undefined) return undefined;
    this.#inFlight.delete(id);
    this.#unshare(fill);
    return fill;
  }

  /** An event was applied. `mayShare`: whether later look-ups go on joining (control runs). */
  invalidate(source: Source, ended: Ended, mayShare: boolean): void {
    for (const fill of this.#inFlight.values()) {
      if (sourceOfKind[fill.ref.kind] !== source) continue;
      if (ended !== 'everything' && !ended.some((name) => mayEnd(name, fill.ref))) continue;
      fill.isFresh = false;
      if (!mayShare) this.#unshare(fill);
    }
  }

  #unshare(fill: Fill): void {
    const shared = this.#shared[fill.ref.kind];
    if (shared.get(fill.ref.id) === fill) shared.delete(fill.ref.id);
  }
}

/**
 * Whether an event may end what a fill asks for: of a key, the id is not known before its result.
 */
function mayEnd({ kind, name }: FactName, ref: FactRef): boolean {
  if (kind !== ref.kind) return false;
  return kind === 'key' || name === (ref.fingerprint ?? ref.id);
}
