import { factBytes } from './fact-bytes.ts';
import type { Known } from './facts.ts';

/**
 * Memory of a table for each fact that it may contain: 64 MB for 100,000. Most facts take half of
 * it.
 */
const bytesPerFact = 640;
/** Minimum memory of a table, so that it always has room for the facts of one decision. */
const tableBytesMin = 2 ** 20;
/** Memory of an entry without its texts and its value. */
const entryBytes = 160;

/** One cached fact. */
export type Entry<Value> = Known<Value> & {
  id: string;
  /** Looked up since eviction last passed it. */
  used: boolean;
  /** An estimate of its memory. */
  bytes: number;
  /** The next entry with the same name. */
  sameName: Entry<Value> | undefined;
};

/** Values that are derived from a table's facts and stored elsewhere. */
export type Derived = {
  /** Whether a value that depends on the fact was looked up since the last call. */
  takeUsed(id: string): boolean;
  /** Call this when the fact was ended or evicted. */
  delete(id: string): void;
  /** Call this when all facts were ended. */
  clear(): void;
};

/**
 * Facts of one kind by id, and by the name under which events end them; at most `max`, and fewer if
 * they are large: facts may have any size that their owners allow. Evicts facts that were not used
 * for longest, by the second-chance algorithm: a hit costs one write, not a reordering.
 */
export class FactTable<Value> {
  readonly #max: number;
  readonly #bytesMax: number;
  readonly #derived: Derived | undefined;
  readonly #byId = new Map<string, Entry<Value>>();
  readonly #byName = new Map<string, Entry<Value>>();
  #bytes = 0;

  constructor(max: number, derived?: Derived) {
    this.#max = max;
    this.#bytesMax = Math.max(max * bytesPerFact, tableBytesMin);
    this.#derived = derived;
  }

  get size(): number {
    return this.#byId.size;
  }

  get(id: string): Entry<Value> | undefined {
    const entry = this.#byId.get(id);
    // Read before it is written: most entries are marked already, and a write costs more.
    if (entry !== undefined && !entry.used) entry.used = true;
    return entry;
  }

  set(id: string, name: string, value: Value | undefined): void {
    this.delete(id);
    const bytes = entryBytes + factBytes(id) + factBytes(name) + factBytes(value);
    while (this.#isFull(bytes)) this.#evict();
    const sameName = this.#byName.get(name);
    const entry: Entry<Value> = { used: false, value, id, name, bytes, sameName };
    this.#byId.set(id, entry);
    this.#bytes += bytes;
    this.#byName.set(name, entry);
  }

  delete(id: string): void {
    const entry = this.#byId.get(id);
    if (entry === undefined) return;
    this.#forget(entry);
    this.#unname(entry);
  }

  /** Removes every fact with this name. */
  end(name: string): void {
    let entry = this.#byName.get(name);
    if (entry === undefined) return;
    this.#byName.delete(name);
    for (; entry !== undefined; entry = entry.sameName) this.#forget(entry);
  }

  clear(): void {
    this.#byId.clear();
    this.#byName.clear();
    this.#bytes = 0;
    this.#derived?.clear();
  }

  /** Whether there is no room for another fact of this size. */
  #isFull(bytes: number): boolean {
    const { size } = this.#byId;
    return size >= this.#max || (size > 0 && this.#bytes + bytes > this.#bytesMax);
  }

  #forget({ id, bytes }: Entry<Value>): void {
    this.#byId.delete(id);
    this.#bytes -= bytes;
    this.#derived?.delete(id);
  }

  /** Terminates: after one round no entry is marked as used. */
  #evict(): void {
    for (const entry of this.#byId.values()) {
      if (this.#takeUsed(entry)) {
        this.#byId.delete(entry.id);
        this.#byId.set(entry.id, entry);
      } else {
        this.delete(entry.id);
        return;
      }
    }
  }

  #takeUsed(entry: Entry<Value>): boolean {
    const isDerivedUsed = this.#derived?.takeUsed(entry.id) ?? false;
    const isUsed = entry.used || isDerivedUsed;
    entry.used = false;
    return isUsed;
  }

  #unname(entry: Entry<Value>): void {
    const first = this.#byName.get(entry.name);
    if (first === entry) {
      if (entry.sameName === undefined) this.#byName.delete(entry.name);
      else this.#byName.set(entry.name, entry.sameName);
      return;
    }
    for (let before = first; before !== undefined; before = before.sameName) {
      if (before.sameName === entry) before.sameName = entry.sameName;
    }
  }
}
