import { factBytes } from './fact-bytes.ts';
import type { Known } from './facts.ts';

/** Memory of a table for each fact that it may hold: 64 MB for 100,000. Most facts have half of that. */
const bytesPerFact = 640;
/** Memory of a table at least: it always has room for the facts of one decision. */
const tableBytesMin = 2 ** 20;
/** What an entry takes beside its texts and its value. */
const entryBytes = 160;

/** One remembered fact. */
export type Entry<Value> = Known<Value> & {
  id: string;
  /** Looked at since eviction last passed by. */
  used: boolean;
  /** An estimate of its memory. */
  bytes: number;
  /** The next entry of the same name. */
  sameName: Entry<Value> | undefined;
};

/** What is found elsewhere by way of a table's facts. */
export type Derived = {
  /** Whether what rests on the fact was looked up since the last call of this. */
  takeUsed(id: string): boolean;
  /** The fact was ended or evicted. */
  delete(id: string): void;
  /** All of them were. */
  clear(): void;
};

/**
 * Facts of one kind by id, and by the name under which events end them; at most `max`, and less if
 * they are large: facts have any size that their owners allow. Evicts what was not looked at for longest, by second chance: a hit costs one store, not a reordering.
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
    // Read before it is written: most are marked, and a write costs more.
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

  /** Forgets every fact of that name. */
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

  /** Ends: after one round nothing is marked as used any more. */
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
