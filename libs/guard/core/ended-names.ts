/** Minimum number of names that are kept. It bounds the memory, and the comparisons for a reply. */
const keptMin = 1_000;

/**
 * The names of facts that events have ended recently. Shows whether a fact whose name was unknown
 * before its fetch has ended meanwhile.
 */
export class EndedNames {
  /** The latest names, in order. */
  #names: string[] = [];
  #count = 0;

  /** The number of names that were ever added. */
  get count(): number {
    return this.#count;
  }

  add(name: string): void {
    this.#names.push(name);
    this.#count++;
    if (this.#names.length >= 2 * keptMin) this.#names = this.#names.slice(-keptMin);
  }

  /**
   * Whether one of these names was added after the first `count` ones; true if that part is no
   * longer kept.
   */
  hasSince(count: number, names: readonly string[]): boolean {
    const later = this.#count - count;
    if (later === 0) return false;
    if (later > this.#names.length) return true;
    return this.#names.slice(-later).some((name) => names.includes(name));
  }
}
