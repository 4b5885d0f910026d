import { systemSleep } from '@silo/runtime/clock.ts';
import type { Log } from '@silo/runtime/log.ts';
import { runForever } from '@silo/runtime/run-forever.ts';

const intervalMs = 100;
/** Maximum pause after failures: open migrations must continue soon after MongoDB answers again. */
const capMs = 1_000;
const lookMs = 5_000;

type Dependencies = {
  /** Resolves when a migration may be open, or after a while. */
  untilOpen(signal: AbortSignal): Promise<void>;
  hasOpen(signal: AbortSignal): Promise<boolean>;
  log: Log;
  /** Interval of the check whether a migration is still open; only for tests. */
  lookMs?: number;
};

/**
 * Runs the loops of migrations while a migration of this region is open, until the signal aborts: a
 * region without open migrations makes no database calls for them.
 */
export async function whileOpen(
  dependencies: Dependencies,
  loops: readonly ((signal: AbortSignal) => Promise<void>)[],
  signal: AbortSignal,
): Promise<void> {
  const { untilOpen, hasOpen, log } = dependencies;
  await runForever({ name: 'migrations', intervalMs, capMs, signal, log }, async () => {
    await untilOpen(signal);
    if (!(await hasOpen(signal))) return;
    const stop = new AbortController();
    const until = AbortSignal.any([signal, stop.signal]);
    const running = loops.map((loop) => loop(until));
    // If the check fails, nothing is interrupted: it may be a cutover.
    const isOpen = async () => {
      try {
        return await hasOpen(signal);
      } catch (error) {
        signal.throwIfAborted();
        log.info({ err: error }, 'could not check for open migrations');
        return true;
      }
    };
    try {
      do await systemSleep(dependencies.lookMs ?? lookMs, signal);
      while (await isOpen());
    } finally {
      stop.abort(new DOMException('no migration is open', 'AbortError'));
      await Promise.all(running);
    }
  });
}
