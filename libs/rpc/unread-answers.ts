import { constants, type ServerHttp2Stream } from 'node:http2';
import { requestTimeoutMs, unadmitted, unread } from './limits.ts';

const sweepMs = 1_000;

/** An answer that has not left yet. */
type Unread = { stream: ServerHttp2Stream; connection: object; bytes: number; endMs: number };

/**
 * Limits the memory of answers that their clients do not read, of each connection and of the whole
 * port. Above the total limit the connection that holds most loses its answers: others are not
 * affected. So does an answer that is not read in time.
 */
export class UnreadAnswers implements Disposable {
  readonly #all = new Map<ServerHttp2Stream, Unread>();
  readonly #byConnection = new Map<object, { bytes: number; answers: Set<Unread> }>();
  readonly #timer: NodeJS.Timeout;
  #bytes = 0;

  constructor() {
    this.#timer = setInterval(() => this.sweep(performance.now()), sweepMs);
    this.#timer.unref();
  }

  /** The memory that all of them hold. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether the connection may have another answer of this size; a small one it always may. */
  hasRoomFor(connection: object, bytes: number): boolean {
    const held = this.#byConnection.get(connection)?.bytes ?? 0;
    return held === 0 || bytes <= unread.smallBytes || held + bytes <= unread.connectionBytesMax;
  }

  /** Counts an answer until its stream closes, which it does when all of it is read. */
  add(stream: ServerHttp2Stream, connection: object, answerBytes: number): void {
    const slowestMs = (answerBytes / unread.slowestBytesPerSecond) * 1_000;
    this.#add(stream, connection, answerBytes, performance.now() + requestTimeoutMs + slowestMs);
    stream.once('close', () => this.release(stream));
  }

  /** Counts a message of a stream, which may wait for its client for any time, until it is released. */
  hold(stream: ServerHttp2Stream, connection: object, messageBytes: number): void {
    this.#add(stream, connection, messageBytes, Number.POSITIVE_INFINITY);
  }

  /** Stops counting what this stream holds. */
  release(stream: ServerHttp2Stream): void {
    const held = this.#all.get(stream);
    if (held === undefined) return;
    this.#all.delete(stream);
    this.#bytes -= held.bytes;
    const ofConnection = this.#byConnection.get(held.connection);
    if (ofConnection === undefined) return;
    ofConnection.answers.delete(held);
    ofConnection.bytes -= held.bytes;
    if (ofConnection.answers.size === 0) this.#byConnection.delete(held.connection);
  }

  /** Ends the answers that were not read in time. */
  sweep(nowMs: number): void {
    for (const held of [...this.#all.values()]) if (nowMs > held.endMs) this.#end(held);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #add(stream: ServerHttp2Stream, connection: object, answerBytes: number, endMs: number): void {
    if (stream.closed || stream.destroyed) return;
    this.release(stream);
    const held = { stream, connection, bytes: answerBytes + unadmitted.callBytes, endMs };
    this.#all.set(stream, held);
    const ofConnection = this.#byConnection.get(connection) ?? { bytes: 0, answers: new Set() };
    ofConnection.answers.add(held);
    ofConnection.bytes += held.bytes;
    this.#byConnection.set(connection, ofConnection);
    this.#bytes += held.bytes;
    if (this.#bytes > unread.totalBytesMax) this.#endLargest();
  }

  #endLargest(): void {
    let largest: { bytes: number; answers: Set<Unread> } | undefined;
    for (const each of this.#byConnection.values()) {
      if (largest === undefined || each.bytes > largest.bytes) largest = each;
    }
    for (const held of [...(largest?.answers ?? [])]) this.#end(held);
  }

  #end({ stream }: Unread): void {
    this.release(stream);
    stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }
}
