import { SharedBytes } from '@silo/runtime/shared-bytes.ts';
import { HttpRefusal } from './http-refusal.ts';

/** What a request costs beside its body: its sockets, headers and objects. */
const requestBytes = 8 * 1_024;
/** What one network may hold of it, as a multiple of what is free: three quarters where it is alone. */
const timesFree = 3;
/** What one project may hold of the half in which requests wait: half of it where it is alone. */
const waitingTimesFree = 1;

/** The memory that the bodies of all requests, and their large answers, share, in bytes. */
export class HeldBytes {
  readonly #shared: SharedBytes;
  /** Of requests that wait for what others need not wait for. */
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

  /** Bytes of bodies that came since the process started, as they came. */
  get received(): number {
    return this.#received;
  }

  /** Counts bytes of a body that came. */
  receive(bytes: number): void {
    this.#received += bytes;
  }

  /**
   * Counts an answer to a network until the function that this returns is called. It is never refused:
   * what it answers has been done, and has just given back more than that.
   */
  holdAnswer(network: string, bytes: number): () => void {
    this.#shared.add(network, bytes);
    return () => this.#shared.release(network, bytes);
  }

  /** The share of one request of a network. Throws OVERLOADED where that may have no more. */
  begin(network: string): Share {
    return new Share(this, this.#shared, this.#waiting, network);
  }
}

/** What one request holds, until it is disposed of. */
export class Share implements Disposable {
  readonly #held: HeldBytes;
  readonly #shared: SharedBytes;
  readonly #waiting: SharedBytes;
  readonly #network: string;
  #bytes = 0;
  /** For whom it waits, and with how much. */
  #wait: { project: string; bytes: number } | undefined;

  constructor(held: HeldBytes, shared: SharedBytes, waiting: SharedBytes, network: string) {
    this.#held = held;
    this.#shared = shared;
    this.#waiting = waiting;
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

  /**
   * Begins to wait for what concerns its project alone, until `endWait`: projects share the room for that.
   * False where its project has none left. Beginning again changes nothing.
   */
  beginWait(project: string): boolean {
    if (this.#wait !== undefined) return true;
    const bytes = this.#bytes;
    // What is free may be taken at once, but by no single body all that there is.
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
