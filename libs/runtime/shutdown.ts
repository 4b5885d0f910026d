import { type Clock, type Sleep, systemClock, systemSleep } from './clock.ts';
import type { Log } from './log.ts';

type StopSignal = 'SIGTERM' | 'SIGINT';
const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const; // 128 + the signal's number

// Ctrl-C reaches the whole process group, and npm forwards it again: one key press, two signals.
const samePressMs = 250;

/** The part of `process` that is used here. */
type ProcessHost = {
  on(event: string, listener: (argument: unknown) => void): unknown;
  off(event: string, listener: (argument: unknown) => void): unknown;
  exit(code: number): void;
};

export type RunOptions = {
  log: Log;
  /** Maximum time to drain; after that the process exits with code 1. */
  drainMaxMs?: number;
  host?: ProcessHost;
  clock?: Clock;
  sleep?: Sleep;
};

/**
 * Runs a process: calls `start`, waits for SIGTERM or SIGINT, disposes of what was started, and
 * exits with code 0. `scope.signal` aborts at the first signal, before the disposal: for loops, and
 * for a start in progress. A second signal exits at once (130, 143). A failed start, a failed or
 * overlong drain, and any uncaught error are logged as fatal, and the process exits with code 1.
 */
export async function runUntilSignal(
  start: (scope: { signal: AbortSignal }) => Promise<AsyncDisposable>,
  options: RunOptions,
): Promise<void> {
  const { log, host = process } = options;
  using stop = listenForStop(options);
  using _limit = limitDraining(stop.requested, options);
  let started = false;
  try {
    {
      await using _running = await start({ signal: stop.signal });
      started = true;
      await stop.requested;
      log.info('draining');
    }
    log.info('stopped');
    host.exit(0);
  } catch (error) {
    if (stop.signal.aborted && !started) {
      // A stop during the start is not a failure.
      log.info({ err: error }, 'stopped during start');
      host.exit(0);
    } else {
      log.fatal({ err: error }, started ? 'stopping failed' : 'starting failed');
      host.exit(1);
    }
  }
}

function limitDraining(
  requested: Promise<void>,
  { log, drainMaxMs = 30_000, host = process, sleep = systemSleep }: RunOptions,
): Disposable {
  const stopped = new AbortController();
  const giveUp = async () => {
    await requested;
    await sleep(drainMaxMs, stopped.signal);
    log.fatal({ drainMaxMs }, 'drain timed out');
    host.exit(1);
  };
  giveUp().catch(() => {}); // drained in time
  return { [Symbol.dispose]: () => stopped.abort() };
}

function listenForStop({ log, host = process, clock = systemClock }: RunOptions): Disposable & {
  signal: AbortSignal;
  requested: Promise<void>;
} {
  const controller = new AbortController();
  const requested = Promise.withResolvers<void>();
  let firstMs: number | undefined;

  const onStop = (name: StopSignal) => {
    const nowMs = clock.monotonicMs();
    if (firstMs === undefined) {
      firstMs = nowMs;
      log.info({ signal: name }, 'stop requested');
      controller.abort(new DOMException(`stopped by ${name}`, 'AbortError'));
      requested.resolve();
    } else if (nowMs - firstMs >= samePressMs) {
      log.warn({ signal: name }, 'stop requested again: exiting without drain');
      host.exit(exitCodes[name]);
    }
  };
  // The error may have left inconsistent state: do not drain.
  const onFatal = (error: unknown) => {
    log.fatal({ err: error }, 'uncaught error');
    host.exit(1);
  };
  const listeners: [string, (argument: unknown) => void][] = [
    ['SIGTERM', () => onStop('SIGTERM')],
    ['SIGINT', () => onStop('SIGINT')],
    ['uncaughtException', onFatal],
    ['unhandledRejection', onFatal],
  ];
  for (const [event, listener] of listeners) host.on(event, listener);
  return {
    signal: controller.signal,
    requested: requested.promise,
    [Symbol.dispose]: () => {
      for (const [event, listener] of listeners) host.off(event, listener);
    },
  };
}
