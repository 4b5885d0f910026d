/**
 * A number of bytes that owners share. Each owner may hold a multiple of the free bytes: with a
 * factor of 1 a single owner gets half of all bytes, with 3 three quarters, and less with more
 * owners. So owners that grow gradually leave room for another one (Choudhury and Hahne, Dynamic
 * Queue Length Thresholds, 1998).
 */
export class SharedBytes {
  readonly max: number;
  readonly #timesFree: number;
  #held = 0;
  /** Bytes of each owner that holds any. */
  readonly #heldBy = new Map<string, number>();

  constructor(max: number, timesFree: number) {
    this.max = max;
    this.#timesFree = timesFree;
  }

  get held(): number {
    return this.#held;
  }

  /**
   * Takes bytes for an owner; false if it may not have them. All free bytes may be taken at once.
   */
  take(owner: string, bytes: number): boolean {
    const heldByOwner = this.#heldBy.get(owner) ?? 0;
    const free = this.max - this.#held;
    if (bytes > free || heldByOwner + bytes > this.#timesFree * free) return false;
    this.add(owner, bytes);
    return true;
  }

  /**
   * Adds bytes that the owner holds already, even if they exceed the free ones; then nobody can
   * take more until enough are released.
   */
  add(owner: string, bytes: number): void {
    this.#held += bytes;
    this.#heldBy.set(owner, (this.#heldBy.get(owner) ?? 0) + bytes);
  }

  /** Releases bytes that the owner holds. */
  release(owner: string, bytes: number): void {
    const left = (this.#heldBy.get(owner) ?? 0) - bytes;
    this.#held -= bytes;
    if (left > 0) this.#heldBy.set(owner, left);
    else this.#heldBy.delete(owner);
  }
}
