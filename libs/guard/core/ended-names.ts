/** How many names are kept at least. It bounds what a reply is compared with, and the memory. */
const keptMin = 1_000;

/**
 * The names that events have ended of late: whether what a fetch finds has ended meanwhile, where
 * its name is not known before.
 */
export class EndedNames {
  /** The latest names, in order. */
  #names: string[] = [];
  #count = 0;

  /** How many names were ever added. */
  get count(): number {
    return this.#count;
  }

  add(name: string): void {
    this.#names.push(name);
    this.#count++;
    if (this.#names.length >= 2 * keptMin) this.#names = this.#names.slice(-keptMin);
  }

  /** Whether one of these was added after so many; true where that is not kept any more. */
  hasSince(count: number, names: readonly string[]): boolean {
    const later = this.#count - count;
    if (later === 0) return false;
    if (later > this.#names.length) return true;
    return this.#names.slice(-later).some((name) => names.includes(name));
  }
}
