/** An action, and its time. */
type Happening = { atMs: number; order: number; run: () => void };

/** True time, which no process in the simulated world can read: runs the actions in order. */
export class Timeline {
  nowMs = 0;
  readonly #heap: Happening[] = [];
  #order = 0;

  at(atMs: number, run: () => void): void {
    const heap = this.#heap;
    const happening = { atMs: Math.max(atMs, this.nowMs), order: ++this.#order, run };
    let index = heap.length;
    heap.push(happening);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(happening, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = happening;
  }

  after(delayMs: number, run: () => void): void {
    this.at(this.nowMs + delayMs, run);
  }

  /** Runs the actions until this time, or until `isOver`. */
  runUntil(endMs: number, isOver: () => boolean): void {
    while (!isOver()) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > endMs) break;
      this.#removeFirst();
      this.nowMs = next.atMs;
      next.run();
    }
    if (!isOver()) this.nowMs = endMs;
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      let below = heap[child];
      const right = heap[child + 1];
      if (below !== undefined && right !== undefined && isBefore(right, below)) {
        below = right;
        child++;
      }
      if (below === undefined || !isBefore(below, last)) break;
      heap[index] = below;
      index = child;
    }
    heap[index] = last;
  }
}

function isBefore(a: Happening, b: Happening): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
