import type { Http2SecureServer, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Server } from '@grpc/grpc-js';

/** Handles a new stream; `proceed` passes it to grpc-js. */
export type ReceiveStream = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  proceed: () => void,
) => void;

/**
 * The HTTP/2 servers behind a bound grpc-js server. grpc-js 1.14 has no public API for them;
 * without them connections cannot be counted, and streams cannot be checked before they become
 * calls.
 */
export function http2ServersOf(server: Server): Http2SecureServer[] {
  const servers: unknown = Reflect.get(server, 'http2Servers');
  if (!(servers instanceof Map) || servers.size === 0) {
    throw new TypeError('this version of grpc-js stores its HTTP/2 servers differently');
  }
  return [...servers.keys()];
}

/** Calls `receive` for each accepted socket, before TLS gets it; `proceed` passes it to TLS. */
export function receiveConnections(
  http2Server: Http2SecureServer,
  receive: (socket: Socket, proceed: () => void) => void,
): void {
  const listeners = http2Server.rawListeners('connection');
  http2Server.removeAllListeners('connection');
  http2Server.on('connection', (socket: Socket) => {
    receive(socket, () => {
      for (const each of listeners) Reflect.apply(each, http2Server, [socket]);
    });
  });
}

/** Calls `receive` for each new stream of the server, before grpc-js gets it. */
export function receiveStreams(http2Server: Http2SecureServer, receive: ReceiveStream): void {
  const listeners = http2Server.rawListeners('stream');
  if (listeners.length === 0)
    throw new TypeError('this version of grpc-js receives its streams differently');
  http2Server.removeAllListeners('stream');
  http2Server.on('stream', (stream, headers, ...rest) => {
    receive(stream, headers, () => {
      for (const each of listeners) Reflect.apply(each, http2Server, [stream, headers, ...rest]);
    });
  });
}

/** The HTTP/2 stream of a call, which grpc-js does not expose. */
export function http2StreamOf(call: object): object | undefined {
  const inner: unknown = Reflect.get(call, 'call');
  if (typeof inner !== 'object' || inner === null) return undefined;
  const stream: unknown = Reflect.get(inner, 'stream');
  return typeof stream === 'object' && stream !== null ? stream : undefined;
}

/** The TCP socket under a TLS socket; Node has no public API for it. */
export function rawSocketOf(socket: TLSSocket): object | undefined {
  const raw: unknown = Reflect.get(socket, '_parent');
  return typeof raw === 'object' && raw !== null ? raw : undefined;
}
