import type { EventLog } from '@silo/log/event-log.ts';
import type { Log } from '@silo/runtime/log.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import type { ServiceKit } from '@silo/service/service-definition.ts';
import type { PropertyIndexStore, Unfinished } from '../store/property-indexes.ts';

const intervalMs = 5_000;
/** Number of steps before another index has its turn: some 25,000 events. */
const stepsMax = 100;

type Dependencies = {
  indexes: PropertyIndexStore;
  eventLog: Pick<EventLog, 'head'>;
  registry: Pick<ServiceKit['registry'], 'awaitBarrier'>;
  /** Identifies this process; new at every start. */
  owner: string;
  log: Log;
};

/**
 * Builds the indexes that projects have chosen, and removes those that they no longer choose, until
 * the signal aborts. Every replica does this; one at a time works on a place, and another one
 * continues where it stopped.
 */
export async function buildPropertyIndexes(
  dependencies: Dependencies,
  signal: AbortSignal,
): Promise<void> {
  const { log } = dependencies;
  await runForever({ name: 'property-indexes', intervalMs, signal, log }, (turnSignal) =>
    buildDue(dependencies, turnSignal),
  );
}

/**
 * One turn: works until the remaining indexes belong to other processes or have failed, which is
 * logged.
 * @internal Exported for tests.
 */
export async function buildDue(dependencies: Dependencies, signal: AbortSignal): Promise<void> {
  const { indexes, log } = dependencies;
  let isOver = false;
  while (!isOver) {
    isOver = true;
    // Each index has its turn before any has another one.
    let page = await indexes.unfinished('', signal);
    while (page.length > 0) {
      for (const unfinished of page) {
        const { projectId, index } = unfinished;
        try {
          if (await advance(dependencies, unfinished, signal)) isOver = false;
        } catch (error) {
          signal.throwIfAborted();
          log.warn(
            { projectId, place: index.place, err: error },
            'work on a property index failed',
          );
        }
      }
      page = await indexes.unfinished(page.at(-1)?.projectId ?? '', signal);
    }
  }
}

/** Does some steps on one index. Returns whether this process has more to do. */
async function advance(
  dependencies: Dependencies,
  unfinished: Unfinished,
  signal: AbortSignal,
): Promise<boolean> {
  const { indexes, eventLog, registry, owner } = dependencies;
  await indexes.createPlace(unfinished.index.place, signal);
  const fence = await indexes.acquire(unfinished, owner, signal);
  if (fence === undefined) return false;
  try {
    // Captures hold a permit until they are stored: after the barrier none uses an older choice.
    await registry.awaitBarrier({ project: await eventLog.head(signal) }, signal);
    for (let steps = 0; steps < stepsMax; steps++) {
      if (!(await indexes.step(unfinished, fence, signal))) return false;
    }
    return true;
  } finally {
    await indexes.release(unfinished, fence);
  }
}
