import type { ServerHttp2Stream } from 'node:http2';
import { http2StreamOf } from './http2-servers.ts';

/** What is known of a call before anything is read of it. */
export type Arrival = {
  /** The client's IP address. */
  address: string;
};

const unknown: Arrival = { address: 'unknown' };

/** Remembers of each call that is being served how it arrived. */
export class Arrivals {
  readonly #byStream = new WeakMap<object, Arrival>();

  add(stream: ServerHttp2Stream): void {
    this.#byStream.set(stream, { address: stream.session?.socket.remoteAddress ?? 'unknown' });
  }

  /** By the call as grpc-js hands it to a handler. */
  of(call: object): Arrival {
    const stream = http2StreamOf(call);
    return (stream && this.#byStream.get(stream)) ?? unknown;
  }
}
