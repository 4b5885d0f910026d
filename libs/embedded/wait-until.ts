import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Calls `probe` repeatedly until it does not throw, and returns its result. Throws after
 * `withinMs`, with the last error as the cause, or when the signal aborts.
 */
export async function waitUntil<T>(
  what: string,
  probe: () => Promise<T>,
  { withinMs, signal, pauseMs = 25 }: { withinMs: number; signal?: AbortSignal; pauseMs?: number },
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await probe();
    } catch (error) {
      if (performance.now() > deadline) {
        const reason = error instanceof Error ? error.message : error;
        throw new Error(`${what} did not happen within ${withinMs / 1000} s: ${reason}`, {
          cause: error,
        });
      }
    }
    await delay(pauseMs, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
}

/** Resolves when a TCP connection to 127.0.0.1 is accepted, else rejects. */
export async function probePort(port: number): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port });
  try {
    await once(socket, 'connect');
  } finally {
    socket.destroy();
  }
}
