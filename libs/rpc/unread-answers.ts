import { requestTimeoutMs, unadmitted, unread } from './limits.ts';

const sweepMs = 1_000;

/** The stream of an answer: an HTTP/2 stream, or a response of HTTP/1.1. */
type AnswerStream = {
  readonly closed: boolean;
  readonly destroyed: boolean;
  /** Emitted when the whole answer was read, or its client has disconnected. */
  once(event: 'close', listener: () => void): unknown;
};

/** An answer that has not been sent completely. */
type Unread<Stream> = {
  stream: Stream;
  connection: object;
  bytes: number;
  endMs: number;
  onRelease(): void;
};

type OfConnection<Stream> = { bytes: number; answers: Set<Unread<Stream>> };

/**
 * Limits the memory of answers that clients do not read, for each connection and for the whole
 * port. Above the total limit, only the connection that holds most loses its answers. An answer
 * that is not read in time is ended, too.
 */
export class UnreadAnswers<Stream extends AnswerStream> implements Disposable {
  readonly #all = new Map<Stream, Unread<Stream>>();
  readonly #byConnection = new Map<object, OfConnection<Stream>>();
  readonly #end: (stream: Stream) => void;
  readonly #nowMs: () => number;
  readonly #timer: NodeJS.Timeout;
  #bytes = 0;

  /** `end` ends an answer that was not read in time, or its whole connection. */
  constructor(end: (stream: Stream) => void, nowMs = () => performance.now()) {
    this.#end = end;
    this.#nowMs = nowMs;
    this.#timer = setInterval(() => this.sweep(nowMs()), sweepMs);
    this.#timer.unref();
  }

  /** The memory that all answers hold. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether the connection may have another answer of this size; a small one is always allowed. */
  hasRoomFor(connection: object, bytes: number): boolean {
    const held = this.#byConnection.get(connection)?.bytes ?? 0;
    return held === 0 || bytes <= unread.smallBytes || held + bytes <= unread.connectionBytesMax;
  }

  /**
   * Counts an answer until its stream closes, which it does when all of it is read. Then, or when
   * the answer is ended, `onRelease` is called once.
   */
  add(stream: Stream, connection: object, answerBytes: number, onRelease = () => {}): void {
    const slowestMs = (answerBytes / unread.slowestBytesPerSecond) * 1_000;
    const endMs = this.#nowMs() + requestTimeoutMs + slowestMs;
    this.#add({ stream, connection, bytes: answerBytes, endMs, onRelease });
    stream.once('close', () => this.release(stream));
  }

  /**
   * Counts a message of a stream, which may wait for its client for any time, until it is released.
   */
  hold(stream: Stream, connection: object, messageBytes: number): void {
    const endMs = Number.POSITIVE_INFINITY;
    this.#add({ stream, connection, bytes: messageBytes, endMs, onRelease: () => {} });
  }

  /** Stops counting what this stream holds. */
  release(stream: Stream): void {
    const held = this.#all.get(stream);
    if (held === undefined) return;
    this.#all.delete(stream);
    this.#bytes -= held.bytes;
    const ofConnection = this.#byConnection.get(held.connection);
    if (ofConnection !== undefined) {
      ofConnection.answers.delete(held);
      ofConnection.bytes -= held.bytes;
      if (ofConnection.answers.size === 0) this.#byConnection.delete(held.connection);
    }
    held.onRelease();
  }

  /** Stops counting what a connection holds that has ended: not every queued stream then closes. */
  releaseAll(connection: object): void {
    const answers = this.#byConnection.get(connection)?.answers ?? [];
    for (const { stream } of [...answers]) this.release(stream);
  }

  /** Ends the answers that were not read in time. */
  sweep(nowMs: number): void {
    for (const { stream, endMs } of [...this.#all.values()]) {
      if (nowMs > endMs) this.#endAnswer(stream);
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #add(answer: Unread<Stream>): void {
    const { stream, connection } = answer;
    if (stream.closed || stream.destroyed) {
      answer.onRelease();
      return;
    }
    this.release(stream);
    const held = { ...answer, bytes: answer.bytes + unadmitted.callBytes };
    this.#all.set(stream, held);
    const ofConnection = this.#byConnection.get(connection) ?? { bytes: 0, answers: new Set() };
    ofConnection.answers.add(held);
    ofConnection.bytes += held.bytes;
    this.#byConnection.set(connection, ofConnection);
    this.#bytes += held.bytes;
    if (this.#bytes > unread.totalBytesMax) this.#endLargest();
  }

  #endLargest(): void {
    let largest: OfConnection<Stream> | undefined;
    for (const each of this.#byConnection.values()) {
      if (largest === undefined || each.bytes > largest.bytes) largest = each;
    }
    for (const { stream } of [...(largest?.answers ?? [])]) this.#endAnswer(stream);
  }

  #endAnswer(stream: Stream): void {
    this.release(stream);
    this.#end(stream);
  }
}
