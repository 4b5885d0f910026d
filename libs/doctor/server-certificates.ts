import { once } from 'node:events';
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { CertificateFacts } from './facts.ts';

const deadlineMs = 5_000;

/** A server of MongoDB or NATS, and how its connections begin. */
type Server = { kind: 'MongoDB' | 'NATS'; host: string; port: number };

/**
 * The certificates that servers show, of any issuer, and also where they have ended: the client of
 * such a server would say only that it cannot connect. None of a server that shows none.
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
  // Whatever is awaited rejects with it.
  socket.on('error', () => {});
  try {
    await once(socket, 'connect', { signal });
    if (kind === 'NATS') await untilGreeted(socket, signal);
    // Nothing is sent, so nobody has to be trusted.
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

/** NATS begins with one line of plain text, and goes on with TLS. */
async function untilGreeted(socket: Socket, signal: AbortSignal): Promise<void> {
  for (;;) {
    const [bytes] = await once(socket, 'data', { signal });
    if (bytes.includes('\n')) return;
  }
}
