import { readFileSync } from 'node:fs';
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import { probePort, waitUntil } from './wait-until.ts';

const checkMethod = '/grpc.health.v1.Health/Check';
const callTimeoutMs = 2_000;
// grpc.health.v1.HealthCheckResponse: field 1, varint `status`; 1 is SERVING.
const statusTag = 0x08;
const statusNames = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];

export interface HealthTarget {
  /** `127.0.0.1:port`. */
  address: string;
  /** Paths of PEM files; certificate and key where the port demands them. */
  ca: string;
  certificate?: string | undefined;
  key?: string | undefined;
}

/** Returns when the port's `grpc.health.v1.Health/Check` answers so for the whole server. */
export async function untilHealth(
  wanted: 'SERVING' | 'NOT_SERVING',
  target: HealthTarget,
  options: { withinMs: number; signal?: AbortSignal },
): Promise<void> {
  const what = `${target.address} answering ${wanted}`;
  await waitUntil(what, () => probePort(Number(target.address.split(':').at(-1))), options);
  const channel = credentials.createSsl(
    readFileSync(target.ca),
    target.key ? readFileSync(target.key) : null,
    target.certificate ? readFileSync(target.certificate) : null,
  );
  const client = new Client(target.address, channel, {
    // TLS knows no server name that is an IP address; ours all answer to localhost, too.
    'grpc.ssl_target_name_override': 'localhost',
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 500,
  });
  try {
    await waitUntil(what, () => checkOnce(client, wanted), options);
  } finally {
    client.close();
  }
}

async function checkOnce(client: Client, wanted: string): Promise<void> {
  const status = await new Promise<number>((resolve, reject) => {
    client.makeUnaryRequest(
      checkMethod,
      // An empty request checks the server as a whole.
      () => Buffer.alloc(0),
      (bytes: Buffer) => (bytes[0] === statusTag ? (bytes[1] ?? 0) : 0),
      {},
      { deadline: Date.now() + callTimeoutMs },
      (error: ServiceError | null, value?: number) => {
        if (error) reject(error);
        else resolve(value ?? 0);
      },
    );
  });
  if (statusNames[status] !== wanted) throw new Error(`it says ${statusNames[status]}`);
}
