/**
 * A number of bytes that owners share. Each may hold so many times what is left free: with 1 half of them
 * where it is alone, with 3 three quarters, and less the more owners there are. So owners that grow bit by bit
 * leave room for another one (Choudhury and Hahne, Dynamic Queue Length Thresholds, 1998).
 */
export class SharedBytes {
  readonly max: number;
  readonly #timesFree: number;
  #held = 0;
  /** Of the owners that hold some. */
  readonly #heldBy = new Map<string, number>();

  constructor(max: number, timesFree: number) {
    this.max = max;
    this.#timesFree = timesFree;
  }

  get held(): number {
    return this.#held;
  }

  /** Takes bytes for an owner; false where it may not have them. All that is free may be taken at once. */
  take(owner: string, bytes: number): boolean {
    const heldByOwner = this.#heldBy.get(owner) ?? 0;
    const free = this.max - this.#held;
    if (bytes > free || heldByOwner + bytes > this.#timesFree * free) return false;
    this.add(owner, bytes);
    return true;
  }

  /** Adds bytes that the owner holds already, whatever is free: nobody takes more until they are. */
  add(owner: string, bytes: number): void {
    this.#held += bytes;
    this.#heldBy.set(owner, (this.#heldBy.get(owner) ?? 0) + bytes);
  }

  /** Gives back bytes that the owner holds. */
  release(owner: string, bytes: number): void {
    const left = (this.#heldBy.get(owner) ?? 0) - bytes;
    this.#held -= bytes;
    if (left > 0) this.#heldBy.set(owner, left);
    else this.#heldBy.delete(owner);
  }
}
