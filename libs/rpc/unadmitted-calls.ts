import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { stopUpload } from './answered-stream.ts';
import {
  anyoneRequestBytesMax,
  requestTimeoutMs,
  unadmitted,
  untrustedWindowBytes,
} from './limits.ts';

const sweepMs = 1_000;
/** The prefix of a gRPC message: a flag, and the length of the message in 4 bytes. */
const prefixBytes = 5;
/** The only method that anyone may call for an unlimited time. */
const lastingPath = '/grpc.health.v1.Health/Watch';

/** The resources that a call holds before its admission. */
type Held = {
  stream: ServerHttp2Stream;
  path: string | undefined;
  connection: object;
  bytes: number;
  requestBytesMax: number;
  beforeLarge: (() => void) | undefined;
  /** The first bytes of the request, until they state its length. */
  prefix: Buffer | undefined;
  /** Arrival time; infinite for an unlimited call whose request is complete. */
  startMs: number;
  /** The last buffer of the request (its slices keep it alive), and the size of all its buffers. */
  buffer: ArrayBufferLike | undefined;
  bufferBytes: number;
  requestBytes: number;
};

/**
 * Why a call is rejected before its admission: the size of its request, the memory of its
 * connection, that of the whole port, or the time.
 */
export type UnadmittedRefusal = 'size' | 'memory' | 'port-memory' | 'timeout';

/**
 * Limits the memory that calls hold before their admission, per connection and for the whole port.
 * Above the total limit, only the connection that holds most loses its calls. A call whose request
 * states too great a length is rejected before the rest arrives. A call that is neither admitted
 * nor ended in time is rejected too: its request does not end, or its client does not read the
 * response.
 */
export class UnadmittedCalls implements Disposable {
  readonly #refuse: (
    stream: ServerHttp2Stream,
    path: string | undefined,
    why: UnadmittedRefusal,
  ) => void;
  /** In order of arrival. */
  readonly #all = new Map<ServerHttp2Stream, Held>();
  readonly #byConnection = new Map<object, { bytes: number; calls: Set<Held> }>();
  readonly #bounds: { connectionBytesMax: number; totalBytesMax: number };
  readonly #timer: NodeJS.Timeout;
  #bytes = 0;

  constructor(
    refuse: (stream: ServerHttp2Stream, path: string | undefined, why: UnadmittedRefusal) => void,
    bounds: { connectionBytesMax: number; totalBytesMax: number } = unadmitted,
  ) {
    this.#refuse = refuse;
    this.#bounds = bounds;
    this.#timer = setInterval(() => this.sweep(performance.now()), sweepMs);
    this.#timer.unref();
  }

  /** The memory that all calls hold. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Starts to count a call of a connection; call it when grpc-js has started to read the stream.
   * `beforeLarge` is called when the request states a length above `anyoneRequestBytesMax`.
   */
  add(
    stream: ServerHttp2Stream,
    connection: object,
    headers: IncomingHttpHeaders,
    requestBytesMax: number,
    beforeLarge?: () => void,
  ): void {
    const held: Held = {
      stream,
      path: headers[':path'],
      connection,
      bytes: 0,
      requestBytesMax,
      beforeLarge,
      prefix: Buffer.alloc(0),
      startMs: performance.now(),
      buffer: undefined,
      bufferBytes: 0,
      requestBytes: 0,
    };
    this.#all.set(stream, held);
    const ofConnection = this.#byConnection.get(connection) ?? { bytes: 0, calls: new Set() };
    ofConnection.calls.add(held);
    this.#byConnection.set(connection, ofConnection);
    stream.once('close', () => this.release(stream));
    stream.once('end', () => this.#complete(held));
    // Runs before grpc-js, whose error has no details.
    stream.prependListener('data', (chunk: Buffer) => this.#receive(held, chunk));
    // A compressed request may expand to the maximum size at once.
    const encoding = headers['grpc-encoding'] ?? 'identity';
    const expanded = encoding === 'identity' ? 0 : requestBytesMax;
    this.#grow(held, unadmitted.callBytes + headerBytesOf(headers) + expanded);
  }

  /** Stops counting a call that is admitted or has ended. */
  release(stream: ServerHttp2Stream): void {
    const held = this.#all.get(stream);
    if (held === undefined) return;
    this.#all.delete(stream);
    this.#bytes -= held.bytes;
    const ofConnection = this.#byConnection.get(held.connection);
    if (ofConnection === undefined) return;
    ofConnection.calls.delete(held);
    ofConnection.bytes -= held.bytes;
    if (ofConnection.calls.size === 0) this.#byConnection.delete(held.connection);
  }

  /** Rejects the calls that were not admitted in time. */
  sweep(nowMs: number): void {
    for (const held of [...this.#all.values()]) {
      if (nowMs - held.startMs > requestTimeoutMs) this.#end(held, 'timeout');
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #receive(held: Held, chunk: Buffer): void {
    const { buffer, length } = chunk;
    // After the call is answered, grpc-js discards further data.
    if (held.stream.headersSent) {
      stopUpload(held.stream);
      return;
    }
    held.requestBytes += length;
    if (held.prefix !== undefined && this.#all.has(held.stream)) this.#readPrefix(held, chunk);
    // Slices of one buffer count once; even a slice of one byte keeps all of it alive.
    if (held.buffer === buffer || !this.#all.has(held.stream)) return;
    held.buffer = buffer;
    held.bufferBytes += buffer.byteLength;
    this.#grow(held, buffer.byteLength);
  }

  #readPrefix(held: Held, chunk: Buffer): void {
    const prefix = Buffer.concat([held.prefix ?? chunk, chunk.subarray(0, prefixBytes)]);
    if (prefix.length < prefixBytes) {
      held.prefix = prefix;
      return;
    }
    held.prefix = undefined;
    const statedBytes = prefix.readUInt32BE(1);
    if (statedBytes > held.requestBytesMax) this.#end(held, 'size');
    else if (statedBytes > anyoneRequestBytesMax && held.beforeLarge !== undefined) {
      // While the stream is not read, it buffers as much as its window allows.
      this.#grow(held, untrustedWindowBytes);
      if (this.#all.has(held.stream)) held.beforeLarge();
    }
  }

  #complete(held: Held): void {
    if (held.path === lastingPath) held.startMs = Number.POSITIVE_INFINITY;
    held.buffer = undefined;
    // grpc-js has copied the message out of its buffers.
    if (this.#all.has(held.stream)) this.#grow(held, held.requestBytes - held.bufferBytes);
  }

  /** Adds to the memory of a call; a negative number subtracts. */
  #grow(held: Held, bytes: number): void {
    held.bytes += bytes;
    this.#bytes += bytes;
    const ofConnection = this.#byConnection.get(held.connection);
    if (ofConnection !== undefined) {
      ofConnection.bytes += bytes;
      if (ofConnection.bytes > this.#bounds.connectionBytesMax) this.#end(held, 'memory');
    }
    if (this.#bytes > this.#bounds.totalBytesMax) this.#endLargest();
  }

  #endLargest(): void {
    let largest: { bytes: number; calls: Set<Held> } | undefined;
    for (const each of this.#byConnection.values()) {
      if (largest === undefined || each.bytes > largest.bytes) largest = each;
    }
    for (const held of [...(largest?.calls ?? [])]) this.#end(held, 'port-memory');
  }

  #end({ stream, path }: Held, why: UnadmittedRefusal): void {
    this.release(stream);
    this.#refuse(stream, path, why);
  }
}

/** Size of the names and values of a call's headers. */
export function headerBytesOf(headers: IncomingHttpHeaders): number {
  let bytes = 0;
  for (const [name, value] of Object.entries(headers)) bytes += name.length + (value?.length ?? 0);
  return bytes;
}
