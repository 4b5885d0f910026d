import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServiceName } from '@silo/service/config.ts';

/**
 * The contents of `.silo/endpoints.json`, for scripts: absolute paths, addresses as `host:port`.
 */
export interface Endpoints {
  region: string;
  /** Path of the certificate authority's certificate, PEM. */
  ca: string;
  /** Paths of the client certificate for internal ports, PEM. */
  staff: { cert: string; key: string };
  /**
   * Credentials for guards of other products: paths of a certificate, PEM, and the URL of their
   * NATS user.
   */
  guard: { cert: string; key: string; nats: string };
  /** Ports of each service; `metrics` serves `GET /metrics` over HTTP. */
  services: Record<ServiceName, { public: string; internal: string; metrics: string }>;
  /** URL of the HTTP edge, where SDKs send events. */
  edge: string;
  /** Internal address of the edge, if it is a separate process. */
  edgeInternal?: string | undefined;
  /** Connection string of the administrator, with access to every database. */
  mongodb: string;
  /** URL of the user `subscriber`, which reads events and writes nothing. */
  nats: string;
  /** Path of the CA of NATS, PEM, if NATS has TLS. */
  natsCa?: string | undefined;
}

/** The endpoints file of a state directory; it exists while that Silo serves. */
export function endpointsFile(directory: string): string {
  return join(directory, 'endpoints.json');
}

/**
 * Writes the file atomically. Only its owner may read it, because a connection string may hold a
 * password.
 */
export async function writeEndpoints(directory: string, endpoints: Endpoints): Promise<void> {
  const file = endpointsFile(directory);
  const draft = `${file}.${process.pid}.tmp`;
  await writeFile(draft, `${JSON.stringify(endpoints, undefined, 2)}\n`, { mode: 0o600 });
  await rename(draft, file);
}
