import { systemSleep } from '@silo/runtime/clock.ts';
import type { Log } from '@silo/runtime/log.ts';
import { runForever } from '@silo/runtime/run-forever.ts';

const intervalMs = 100;
/** After failures: what has begun must not wait for long when MongoDB answers again. */
const capMs = 1_000;
const lookMs = 5_000;

type Dependencies = {
  /** Resolves when a migration may be open, or after a while. */
  untilOpen(signal: AbortSignal): Promise<void>;
  hasOpen(signal: AbortSignal): Promise<boolean>;
  log: Log;
  /** How often it is looked whether one still is; for tests. */
  lookMs?: number;
};

/**
 * Runs, until the signal, the loops of migrations as long as a migration of this region is open: a
 * region without one makes no statement for them.
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
    // Where that is not known, nothing is broken off: it may be a cutover.
    const isOpen = async () => {
      try {
        return await hasOpen(signal);
      } catch (error) {
        signal.throwIfAborted();
        log.info({ err: error }, 'it is not known whether a migration is open');
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
