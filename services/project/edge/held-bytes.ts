import { HttpRefusal } from './http-refusal.ts';

/** What a request costs beside its body: its sockets, headers and objects. */
const requestBytes = 8 * 1_024;

/** The memory that the bodies of all requests share, in bytes. */
export class HeldBytes {
  readonly max: number;
  #held = 0;

  constructor(max: number) {
    this.max = max;
  }

  get held(): number {
    return this.#held;
  }

  /** The share of one request. Throws OVERLOADED where there is no room. */
  begin(): Share {
    return new Share((bytes) => this.#take(bytes));
  }

  #take(bytes: number): void {
    if (bytes > 0 && this.#held + bytes > this.max) throw HttpRefusal.overloaded;
    this.#held += bytes;
  }
}

/** What one request holds, until it is disposed of. */
export class Share implements Disposable {
  readonly #take: (bytes: number) => void;
  #bytes = 0;

  constructor(take: (bytes: number) => void) {
    this.#take = take;
    this.grow(requestBytes);
  }

  /** Throws OVERLOADED where there is no room. */
  grow(bytes: number): void {
    this.#take(bytes);
    this.#bytes += bytes;
  }

  shrink(bytes: number): void {
    this.grow(-bytes);
  }

  [Symbol.dispose](): void {
    this.shrink(this.#bytes);
  }
}
