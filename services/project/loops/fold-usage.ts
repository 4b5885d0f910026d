import type { Clock } from '@silo/runtime/clock.ts';
import type { Log } from '@silo/runtime/log.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import { startOfDay } from '../rules/usage.ts';
import type { UsageStore } from '../store/usage.ts';

const intervalMs = 10 * 60 * 1000;

type Dependencies = { usage: Pick<UsageStore, 'fold'>; clock: Clock; log: Log };

/**
 * Folds the counters of past days, until the signal aborts. Every replica does this; if two
 * conflict, one retries its transaction.
 */
export async function foldUsage(dependencies: Dependencies, signal: AbortSignal): Promise<void> {
  await runForever(
    { name: 'fold-usage', intervalMs, signal, log: dependencies.log },
    (turnSignal) => foldDue(dependencies, turnSignal),
  );
}

/**
 * One turn: folds all counters of past days.
 * @internal Exported for tests.
 */
export async function foldDue({ usage, clock }: Dependencies, signal: AbortSignal): Promise<void> {
  const today = startOfDay(clock.now());
  while (await usage.fold(today, signal)) signal.throwIfAborted();
}
