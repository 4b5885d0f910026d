/** A boolean that changes and can be subscribed to. */
export type Subscribable = {
  readonly value: boolean;
  /** Calls the listener with the present value, then with each change, until disposed of. */
  subscribe(listener: (value: boolean) => void): Disposable;
};

/** A Subscribable that its owner sets. */
export class Flag implements Subscribable {
  readonly #listeners = new Set<(value: boolean) => void>();
  #value = false;

  get value(): boolean {
    return this.#value;
  }

  set(value: boolean): void {
    if (value === this.#value) return;
    this.#value = value;
    for (const listener of this.#listeners) listener(value);
  }

  subscribe(listener: (value: boolean) => void): Disposable {
    this.#listeners.add(listener);
    listener(this.#value);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }
}
