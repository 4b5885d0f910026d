import { once } from 'node:events';
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { CertificateFacts } from './facts.ts';

const deadlineMs = 5_000;

/** A server of MongoDB or NATS; the kind determines how a connection begins. */
type Server = { kind: 'MongoDB' | 'NATS'; host: string; port: number };

/**
 * The certificates that servers present, of any issuer, and even if they have expired: the client
 * of such a server would only report that it cannot connect. Leaves out servers that present none.
 */
export async function certificatesOf(servers: readonly Server[]): Promise<CertificateFacts[]> {
  const shown = servers.map(async (server): Promise<CertificateFacts[]> => {
    const expireTime = await expireTimeAt(server).catch(() => undefined);
    if (expireTime === undefined) return [];
    const host = isIP(server.host) === 6 ? `[${server.host}]` : server.host;
    const holder = `the certificate of ${server.kind} at ${host}:${server.port}`;
    return [{ holder, expireTime }];
  });
  return (await Promise.all(shown)).flat();
}

async function expireTimeAt({ kind, host, port }: Server): Promise<Date | undefined> {
  const signal = AbortSignal.timeout(deadlineMs);
  const socket = connect({ host, port });
  // Ignored here: every wait on the socket rejects with the error.
  socket.on('error', () => {});
  try {
    await once(socket, 'connect', { signal });
    if (kind === 'NATS') await untilGreeted(socket, signal);
    // No data is sent, so no trust is needed.
    const secure = connectTls({
      ...{ socket, rejectUnauthorized: false },
      ...(isIP(host) === 0 && { servername: host }),
    });
    secure.on('error', () => {});
    await once(secure, 'secureConnect', { signal });
    const { valid_to: end } = secure.getPeerCertificate();
    return end === undefined ? undefined : new Date(end);
  } finally {
    socket.destroy();
  }
}

/** A NATS connection begins with one line of plain text before TLS. */
async function untilGreeted(socket: Socket, signal: AbortSignal): Promise<void> {
  for (;;) {
    const [bytes] = await once(socket, 'data', { signal });
    if (bytes.includes('\n')) return;
  }
}
