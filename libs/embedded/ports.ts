import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

// Below 32768, where Linux begins to hand out ports to outgoing connections, which would take one
// between the look and the use.
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

/** A port of 127.0.0.1 on which nobody listens, and that is given to nobody else while we live. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const port = randomInt(portMin, portMax);
    if ((await isPortFree(port)) && (await reserve(port))) return port;
  }
  throw new Error(`no free port found in ${portMin}–${portMax} after ${attemptsMax} attempts`);
}

/**
 * Whether the port is ours from now on, until this process ends: held by UDP, of which our servers
 * use none. Between the look and the use another process would find it free, too.
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
