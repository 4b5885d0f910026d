import { once } from 'node:events';
import { board } from './board.ts';
import { type Silo, type SiloOptions, startSilo } from './silo.ts';

// One Ctrl-C may arrive twice: from the terminal, and passed on by npm.
const sameKeyPressMs = 1_000;
const parentCheckMs = 250;

/**
 * The command: starts a Silo, prints its board, and stops it at the first SIGINT, SIGTERM or
 * SIGHUP. A second signal forces the stop. Sets exit code 1 if it cannot start or if a process
 * ended by itself.
 */
export async function runUntilStopped(options: Omit<SiloOptions, 'log' | 'signal'>): Promise<void> {
  const log = (message: string): void => console.log(message);
  let silo: Silo | undefined;
  const stopping = listenForStop(log, () => {
    // The watchdog ends whatever was still starting, as soon as this process has exited.
    if (!silo) process.exit(1);
    void silo.stop({ force: true });
  });
  try {
    silo = await startSilo({ ...options, log, signal: stopping });
    log(board(silo.endpoints, silo.endpointsFile));
    // Only the start needed half of the heap (frees it if `--expose-gc` was given).
    globalThis.gc?.();
    const stopRequested = stopping.aborted
      ? undefined
      : once(stopping, 'abort').then(() => undefined);
    const failure = await Promise.race([silo.failure, stopRequested]);
    if (failure) {
      console.error(`\n${failure.message}\n\nstopping the rest …`);
      process.exitCode = 1;
    }
    await silo.stop();
    log('stopped');
  } catch (error) {
    if (stopping.aborted) {
      log('stopped');
    } else {
      console.error(`\n${error instanceof Error ? error.message : error}`);
      process.exitCode = 1;
    }
  }
}

/** A signal that aborts at the first request to stop; a later request calls `force`. */
function listenForStop(log: (message: string) => void, force: () => void): AbortSignal {
  const stopping = new AbortController();
  let requestedAt: number | undefined;
  const requestStop = (reason: string): void => {
    const now = performance.now();
    if (requestedAt === undefined) {
      requestedAt = now;
      log(`\n${reason}: draining and stopping (again to force) …`);
      stopping.abort(new Error(reason));
    } else if (now - requestedAt > sameKeyPressMs) {
      log('forced');
      force();
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => requestStop(signal));
  }
  if (process.env.npm_lifecycle_event) {
    // A killed npm does not end this process. A new parent means that npm has ended.
    const parent = process.ppid;
    setInterval(() => {
      if (process.ppid !== parent && requestedAt === undefined) requestStop('npm is gone');
    }, parentCheckMs).unref();
  }
  return stopping.signal;
}
