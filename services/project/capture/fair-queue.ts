import { type Bounds, Budget } from '@silo/runtime/budget.ts';

/** An item of one owner, with its size. */
type Item = { owner: string; bytes: number };

/** A queue of items that are taken in groups. Owners take turns. */
export class FairQueue<T extends Item> {
  /** The items of each owner that has any. The owner whose item was taken last comes last. */
  readonly #lines = new Map<string, T[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  sizeOf(owner: string): number {
    return this.#lines.get(owner)?.length ?? 0;
  }

  add(item: T): void {
    const line = this.#lines.get(item.owner);
    if (line === undefined) this.#lines.set(item.owner, [item]);
    else line.push(item);
    this.#size++;
  }

  /** Takes as many items as fit, one of each owner in turn; at least one, if there is any. */
  take(bounds: Bounds): T[] {
    const budget = new Budget(bounds);
    const taken: T[] = [];
    for (;;) {
      const [line] = this.#lines.values();
      const next = line?.[0];
      if (line === undefined || next === undefined || !budget.take(next.bytes)) return taken;
      taken.push(next);
      line.shift();
      this.#size--;
      this.#lines.delete(next.owner);
      if (line.length > 0) this.#lines.set(next.owner, line);
    }
  }
}
