import { type Clock, type Sleep, systemClock, systemSleep } from './clock.ts';
import type { Log } from './log.ts';

type StopSignal = 'SIGTERM' | 'SIGINT';
const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const; // 128 + the signal's number

// Ctrl-C reaches the whole process group and npm passes it on once more: one press, two signals.
const samePressMs = 250;

/** The part of `process` that is used here. */
type ProcessHost = {
  on(event: string, listener: (argument: unknown) => void): unknown;
  off(event: string, listener: (argument: unknown) => void): unknown;
  exit(code: number): void;
};

export type RunOptions = {
  log: Log;
  /** How long draining may take before the process gives up and exits with 1. */
  drainMaxMs?: number;
  host?: ProcessHost;
  clock?: Clock;
  sleep?: Sleep;
};

/**
 * The life of a process: `start`, wait for SIGTERM or SIGINT, dispose of what was started, once,
 * exit 0. `scope.signal` aborts with the first signal, before the disposal: for loops, and for a
 * start that is still under way. A second signal exits at once (130, 143). A failed start, a failed
 * or endless stop, and any error that nobody caught are logged as fatal and exit with 1.
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
      // Whoever stops a process that is still starting has got what they asked for.
      log.info({ err: error }, 'stopped while starting');
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
    log.fatal({ drainMaxMs }, 'stopping took too long');
    host.exit(1);
  };
  giveUp().catch(() => {}); // stopped in time
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
      log.info({ signal: name }, 'asked to stop');
      controller.abort(new DOMException(`stopped by ${name}`, 'AbortError'));
      requested.resolve();
    } else if (nowMs - firstMs >= samePressMs) {
      log.warn({ signal: name }, 'asked to stop again: leaving at once');
      host.exit(exitCodes[name]);
    }
  };
  // What threw may have left anything half done: no draining from here.
  const onFatal = (error: unknown) => {
    log.fatal({ err: error }, 'an error that nobody caught');
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
