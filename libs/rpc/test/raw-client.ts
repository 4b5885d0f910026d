import { readFileSync } from 'node:fs';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type Settings,
} from 'node:http2';
import { connect as connectTls } from 'node:tls';

/** The source and target of a raw connection. */
export type RawTarget = {
  /** `host:port` of a server on loopback. */
  address: string;
  /** PEM file of the server's authority. */
  ca: string;
  /** The local address, such as 127.0.0.2; any by default. */
  from?: string | undefined;
  settings?: Settings | undefined;
};

/** An HTTP/2 connection without a gRPC library, which can send what a library would not. */
export async function connectRaw({
  address,
  ca,
  from,
  settings,
}: RawTarget): Promise<ClientHttp2Session> {
  const at = address.lastIndexOf(':');
  const [host, port] = [address.slice(0, at), Number(address.slice(at + 1))];
  const session = connect(`https://${address}`, {
    ...(settings && { settings }),
    createConnection: () =>
      connectTls({
        ...{ host, port, servername: 'localhost', ALPNProtocols: ['h2'] },
        ca: readFileSync(ca),
        ...(from && { localAddress: from }),
      }),
  });
  session.on('error', () => {}); // tests check that the server closes the connection
  return await new Promise((resolve, reject) => {
    session.once('connect', () => resolve(session));
    session.once('close', () => reject(new Error('the connection was closed')));
  });
}

/** Starts a gRPC call; bytes written to the stream are the request's body. */
export function beginCall(
  session: ClientHttp2Session,
  path: string,
  headers: OutgoingHttpHeaders = {},
): ClientHttp2Stream {
  const stream = session.request(
    {
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    },
    { endStream: false },
  );
  stream.on('error', () => {}); // tests check that the stream is rejected
  return stream;
}

/** The first bytes of an HTTP/2 connection, which begin one gRPC call (RFC 9113, RFC 7541). */
export function firstBytes(path: string): Buffer {
  const field = (index: number[], value: string) =>
    Buffer.from([...index, value.length, ...Buffer.from(value)]);
  const headers = Buffer.concat([
    Buffer.from([0x83, 0x87]), // :method POST, :scheme https
    field([0x04], path),
    field([0x01], 'localhost'), // :authority
    field([0x0f, 0x10], 'application/grpc'), // content-type
  ]);
  const [settingsType, headersType, endHeaders] = [4, 1, 4];
  return Buffer.concat([
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    Buffer.from([0, 0, 0, settingsType, 0, 0, 0, 0, 0]),
    Buffer.from([0, 0, headers.length, headersType, endHeaders, 0, 0, 0, 1]),
    headers,
  ]);
}

/** The result of a raw call: its gRPC status and message, or the code of the reset. */
export type RawOutcome = { status?: string; message?: string; reset?: number };

/** Reads a call to its end. */
export function outcomeOfRaw(stream: ClientHttp2Stream): Promise<RawOutcome> {
  return new Promise((resolve) => {
    let last: IncomingHttpHeaders = {};
    const keep = (headers: IncomingHttpHeaders) => {
      if ('grpc-status' in headers) last = headers;
    };
    stream.on('response', keep);
    stream.on('trailers', keep);
    stream.resume();
    stream.once('close', () => {
      const { 'grpc-status': status, 'grpc-message': message } = last;
      resolve({
        ...(status !== undefined && { status: String(status) }),
        ...(message !== undefined && { message: decodeURI(String(message)) }),
        ...(status === undefined &&
          stream.rstCode !== constants.NGHTTP2_NO_ERROR && { reset: stream.rstCode }),
      });
    });
  });
}

/** A gRPC message: a prefix with this declared length, and the bytes. */
export function framed(bytes: Uint8Array, declaredSizeBytes = bytes.length): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(declaredSizeBytes, 1);
  return Buffer.concat([prefix, bytes]);
}
