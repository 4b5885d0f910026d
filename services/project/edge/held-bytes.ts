import { SharedBytes } from '@silo/runtime/shared-bytes.ts';
import { HttpRefusal } from './http-refusal.ts';

/** Memory of a request besides its body: its sockets, headers and objects. */
const requestBytes = 8 * 1_024;
/**
 * Memory that one network may hold, as a multiple of the free memory: three quarters if it is the
 * only one.
 */
const timesFree = 3;
/**
 * Memory that one project may hold while its requests wait, as a multiple of what is free. Half of
 * all memory is for waiting requests; a project gets half of it if it is the only one.
 */
const waitingTimesFree = 1;

/** The memory, in bytes, that the bodies of all requests and large responses share. */
export class HeldBytes {
  readonly #shared: SharedBytes;
  /** Memory of requests that wait for a condition of their project alone. */
  readonly #waiting: SharedBytes;
  #received = 0;

  constructor(max: number) {
    this.#shared = new SharedBytes(max, timesFree);
    this.#waiting = new SharedBytes(max / 2, waitingTimesFree);
  }

  get max(): number {
    return this.#shared.max;
  }

  get held(): number {
    return this.#shared.held;
  }

  /** Bytes of bodies received since the process started, before unpacking. */
  get received(): number {
    return this.#received;
  }

  /** Counts received bytes of a body. */
  receive(bytes: number): void {
    this.#received += bytes;
  }

  /**
   * Counts a response to a network until the returned function is called. Never refuses: the
   * request is done, and has just released more than the response needs.
   */
  holdAnswer(network: string, bytes: number): () => void {
    this.#shared.add(network, bytes);
    return () => this.#shared.release(network, bytes);
  }

  /**
   * Begins the share of one request of a network. Throws OVERLOADED if the network may hold no
   * more.
   */
  begin(network: string): Share {
    return new Share(this, this.#shared, this.#waiting, network);
  }
}

/** The memory that one request holds until it is disposed of. */
export class Share implements Disposable {
  readonly #held: HeldBytes;
  readonly #shared: SharedBytes;
  readonly #waiting: SharedBytes;
  readonly #network: string;
  #bytes = 0;
  /** The project for which the request waits, and the bytes that it holds meanwhile. */
  #wait: { project: string; bytes: number } | undefined;

  constructor(held: HeldBytes, shared: SharedBytes, waiting: SharedBytes, network: string) {
    this.#held = held;
    this.#shared = shared;
    this.#waiting = waiting;
    this.#network = network;
    this.grow(requestBytes);
  }

  /** Throws OVERLOADED if the network may hold no more. */
  grow(bytes: number): void {
    if (!this.#shared.take(this.#network, bytes)) throw HttpRefusal.overloaded;
    this.#bytes += bytes;
  }

  /** Grows by received bytes of the body. Throws OVERLOADED if the network may hold no more. */
  receive(bytes: number): void {
    this.#held.receive(bytes);
    this.grow(bytes);
  }

  shrink(bytes: number): void {
    this.#shared.release(this.#network, bytes);
    this.#bytes -= bytes;
  }

  /**
   * Begins to wait for a condition of its project alone, until `endWait`; such requests share a
   * part of the memory. Returns false if the project may use no more of it. Does nothing if the
   * request waits already.
   */
  beginWait(project: string): boolean {
    if (this.#wait !== undefined) return true;
    const bytes = this.#bytes;
    // A project may take all free bytes at once, but a single body may not take the whole part.
    if (bytes > 0.75 * this.#waiting.max || !this.#waiting.take(project, bytes)) return false;
    this.#wait = { project, bytes };
    return true;
  }

  endWait(): void {
    if (this.#wait === undefined) return;
    this.#waiting.release(this.#wait.project, this.#wait.bytes);
    this.#wait = undefined;
  }

  [Symbol.dispose](): void {
    this.endWait();
    this.shrink(this.#bytes);
  }
}
