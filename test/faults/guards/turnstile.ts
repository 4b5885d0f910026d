/** Admits a limited number at a time; the others wait in a queue. */
export class Turnstile {
  #free: number;
  readonly #line: (() => void)[] = [];

  constructor(places: number) {
    this.#free = places;
  }

  /** Resolves when there is a place; disposing gives it back. */
  async enter(): Promise<Disposable> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#line.push(resolve));
    return {
      [Symbol.dispose]: () => {
        const next = this.#line.shift();
        if (next === undefined) this.#free++;
        else next();
      },
    };
  }
}
