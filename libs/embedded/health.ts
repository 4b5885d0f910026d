import { readFileSync } from 'node:fs';
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { probePort, waitUntil } from './wait-until.ts';

// Called over Node's own HTTP/2, because a gRPC library would add 10 MB to the starter's memory.

const checkMethod = '/grpc.health.v1.Health/Check';
const callTimeoutMs = 2_000;
/** A service takes seconds to start; more frequent attempts would take CPU from it. */
const pauseMs = 100;
/** The prefix of a message in gRPC: a byte for the compression flag, four for the length. */
const prefixBytes = 5;
/** An empty request checks the server as a whole. */
const emptyRequest = Buffer.alloc(prefixBytes);
// grpc.health.v1.HealthCheckResponse: field 1, varint `status`; 1 is SERVING.
const statusTag = 0x08;
const statusNames = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];
/** More than a valid answer has. */
const answerBytesMax = 1_024;

export interface HealthTarget {
  /** `127.0.0.1:port`. */
  address: string;
  /** Paths of PEM files; certificate and key only if the port requires them. */
  ca: string;
  certificate?: string | undefined;
  key?: string | undefined;
}

/** Returns when the port's `grpc.health.v1.Health/Check` answers `wanted` for the whole server. */
export async function untilHealth(
  wanted: 'SERVING' | 'NOT_SERVING',
  target: HealthTarget,
  options: { withinMs: number; signal?: AbortSignal },
): Promise<void> {
  const what = `${target.address} answering ${wanted}`;
  const patience = { ...options, pauseMs };
  await waitUntil(what, () => probePort(Number(target.address.split(':').at(-1))), patience);
  let session = open(target);
  try {
    await waitUntil(
      what,
      async () => {
        if (session.destroyed) session = open(target);
        const status = await check(session);
        if (statusNames[status] !== wanted) throw new Error(`it says ${statusNames[status]}`);
      },
      patience,
    );
  } finally {
    session.destroy();
  }
}

function open({ address, ca, certificate, key }: HealthTarget): ClientHttp2Session {
  const session = connect(`https://${address}`, {
    ca: readFileSync(ca),
    // An IP address cannot be a TLS server name. All certificates of Silo name localhost, too.
    servername: 'localhost',
    ...(certificate !== undefined && { cert: readFileSync(certificate) }),
    ...(key !== undefined && { key: readFileSync(key) }),
  });
  // Ignored: the request for which the session was opened fails as well.
  session.on('error', () => {});
  return session;
}

/** Reads the status of the server. A session whose request failed is not used again. */
async function check(session: ClientHttp2Session): Promise<number> {
  const headers = {
    ...{ ':method': 'POST', ':path': checkMethod },
    ...{ 'content-type': 'application/grpc', te: 'trailers' },
  };
  try {
    const request = session.request(headers, { signal: AbortSignal.timeout(callTimeoutMs) });
    request.end(emptyRequest);
    const answer = await readAll(request);
    const message = answer.subarray(prefixBytes);
    return message[0] === statusTag ? (message[1] ?? 0) : 0;
  } catch (error) {
    session.destroy();
    throw error;
  }
}

async function readAll(stream: ClientHttp2Stream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of stream) {
    chunks.push(chunk);
    sizeBytes += chunk.length;
    if (sizeBytes > answerBytesMax) throw new Error('its answer is too long');
  }
  return Buffer.concat(chunks);
}
