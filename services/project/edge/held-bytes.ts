import { HttpRefusal } from './http-refusal.ts';

/** What a request costs beside its body: its sockets, headers and objects. */
const requestBytes = 8 * 1_024;

/** The memory that the bodies of all requests share, in bytes. */
export class HeldBytes {
  readonly max: number;
  #held = 0;
  #received = 0;

  constructor(max: number) {
    this.max = max;
  }

  get held(): number {
    return this.#held;
  }

  /** Then requests that wait for another region wait no more: those of other projects need room. */
  get isHalfFull(): boolean {
    return this.#held * 2 > this.max;
  }

  /** Bytes of bodies that came since the process started, as they came. */
  get received(): number {
    return this.#received;
  }

  /** Counts bytes of a body that came. */
  receive(bytes: number): void {
    this.#received += bytes;
  }

  /** The share of one request. Throws OVERLOADED where there is no room. */
  begin(): Share {
    return new Share(this, (bytes) => this.#take(bytes));
  }

  #take(bytes: number): void {
    if (bytes > 0 && this.#held + bytes > this.max) throw HttpRefusal.overloaded;
    this.#held += bytes;
  }
}

/** What one request holds, until it is disposed of. */
export class Share implements Disposable {
  readonly #held: HeldBytes;
  readonly #take: (bytes: number) => void;
  #bytes = 0;

  constructor(held: HeldBytes, take: (bytes: number) => void) {
    this.#held = held;
    this.#take = take;
    this.grow(requestBytes);
  }

  /** Throws OVERLOADED where there is no room. */
  grow(bytes: number): void {
    this.#take(bytes);
    this.#bytes += bytes;
  }

  /** Grows by bytes of the body that came. Throws OVERLOADED where there is no room. */
  receive(bytes: number): void {
    this.#held.receive(bytes);
    this.grow(bytes);
  }

  shrink(bytes: number): void {
    this.grow(-bytes);
  }

  [Symbol.dispose](): void {
    this.shrink(this.#bytes);
  }
}
