import { SharedBytes } from '@silo/runtime/shared-bytes.ts';
import { HttpRefusal } from './http-refusal.ts';

/** What a request costs beside its body: its sockets, headers and objects. */
const requestBytes = 8 * 1_024;
/** What one network may hold of it, as a multiple of what is free: three quarters where it is alone. */
const timesFree = 3;

/** The memory that the bodies of all requests share, in bytes. */
export class HeldBytes {
  readonly #shared: SharedBytes;
  #received = 0;

  constructor(max: number) {
    this.#shared = new SharedBytes(max, timesFree);
  }

  get max(): number {
    return this.#shared.max;
  }

  get held(): number {
    return this.#shared.held;
  }

  /** Then requests that wait for another region wait no more: those of other projects need room. */
  get isHalfFull(): boolean {
    return this.held * 2 > this.max;
  }

  /** Bytes of bodies that came since the process started, as they came. */
  get received(): number {
    return this.#received;
  }

  /** Counts bytes of a body that came. */
  receive(bytes: number): void {
    this.#received += bytes;
  }

  /** The share of one request of a network. Throws OVERLOADED where that may have no more. */
  begin(network: string): Share {
    return new Share(this, this.#shared, network);
  }
}

/** What one request holds, until it is disposed of. */
export class Share implements Disposable {
  readonly #held: HeldBytes;
  readonly #shared: SharedBytes;
  readonly #network: string;
  #bytes = 0;

  constructor(held: HeldBytes, shared: SharedBytes, network: string) {
    this.#held = held;
    this.#shared = shared;
    this.#network = network;
    this.grow(requestBytes);
  }

  /** Throws OVERLOADED where its network may have no more. */
  grow(bytes: number): void {
    if (!this.#shared.take(this.#network, bytes)) throw HttpRefusal.overloaded;
    this.#bytes += bytes;
  }

  /** Grows by bytes of the body that came. Throws OVERLOADED where its network may have no more. */
  receive(bytes: number): void {
    this.#held.receive(bytes);
    this.grow(bytes);
  }

  shrink(bytes: number): void {
    this.#shared.release(this.#network, bytes);
    this.#bytes -= bytes;
  }

  [Symbol.dispose](): void {
    this.shrink(this.#bytes);
  }
}
