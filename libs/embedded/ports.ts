import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

// Below 32768, where Linux begins to assign ports to outgoing connections, which could take a port
// between the check and its use.
const portMin = 20_000;
const portMax = 32_000;
const attemptsMax = 100;

/** Whether a server could listen on this port of 127.0.0.1 now. */
export async function isPortFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen({ port, host: '127.0.0.1', exclusive: true });
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}

/**
 * A port of 127.0.0.1 on which nothing listens, and which no other process gets from here while
 * this process runs.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const port = randomInt(portMin, portMax);
    if ((await isPortFree(port)) && (await reserve(port))) return port;
  }
  throw new Error(`no free port found in ${portMin}–${portMax} after ${attemptsMax} attempts`);
}

/**
 * Reserves the port until this process ends, by binding it for UDP, which the servers do not use.
 * Without that, another process could find the port free between the check and its use.
 */
async function reserve(port: number): Promise<boolean> {
  const lock = createSocket('udp4').unref();
  try {
    lock.bind({ port, address: '127.0.0.1', exclusive: true });
    await once(lock, 'listening');
    return true;
  } catch {
    lock.close();
    return false;
  }
}
