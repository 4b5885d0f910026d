/** The limits of one page, message or batch: items and bytes. */
export type Bounds = { countMax: number; bytesMax: number };

/**
 * The remaining budget of one page, message or batch. The first item always fits, whatever its
 * size.
 */
export class Budget {
  readonly #bounds: Bounds;
  #count = 0;
  #bytes = 0;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
  }

  /** Whether an item of this size still fits; counts it if so. */
  take(sizeBytes: number): boolean {
    const { countMax, bytesMax } = this.#bounds;
    const fits = this.#count < countMax && this.#bytes + sizeBytes <= bytesMax;
    if (!fits && this.#count > 0) return false;
    this.#count++;
    this.#bytes += sizeBytes;
    return true;
  }
}

/** The longest prefix of the items that fits; at least one item, if there is any. */
export function takeWithin<Item>(
  items: readonly Item[],
  bounds: Bounds,
  sizeOf: (item: Item) => number,
): Item[] {
  const budget = new Budget(bounds);
  const end = items.findIndex((item) => !budget.take(sizeOf(item)));
  return items.slice(0, end === -1 ? items.length : end);
}
