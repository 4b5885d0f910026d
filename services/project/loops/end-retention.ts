import type { Clock } from '@silo/runtime/clock.ts';
import type { Log } from '@silo/runtime/log.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import { keptSince } from '../rules/events/retention.ts';
import type { Retaining, RetentionStore } from '../store/retention.ts';

const intervalMs = 10 * 60 * 1000;
/**
 * Batches of one project, of up to 10,000 events in total, before the next project has its turn.
 */
const batchesMax = 20;

type Dependencies = { retention: RetentionStore; clock: Clock; log: Log };

/**
 * Removes events that exceed the retention of their project, until the signal aborts. Only one
 * process at a time should do this: deletions compete with captures.
 */
export async function endRetention(dependencies: Dependencies, signal: AbortSignal): Promise<void> {
  const options = { name: 'end-retention', intervalMs, signal, log: dependencies.log };
  await runForever(options, (turnSignal) => endDue(dependencies, turnSignal));
}

/**
 * One turn: removes all events that exceed the retention of their projects. Projects take turns. A
 * project that fails waits for the next turn.
 * @internal Exported for tests.
 */
export async function endDue(dependencies: Dependencies, signal: AbortSignal): Promise<void> {
  const failed = new Set<string>();
  while (await removeSomeOfEach(dependencies, failed, signal)) signal.throwIfAborted();
}

/** Returns whether more is to be removed. */
async function removeSomeOfEach(
  { retention, clock, log }: Dependencies,
  failed: Set<string>,
  signal: AbortSignal,
): Promise<boolean> {
  let isLeft = false;
  let afterId = '';
  for (;;) {
    const some = await retention.next(afterId, signal);
    const last = some.at(-1);
    if (last === undefined) return isLeft;
    for (const project of some) {
      const { projectId, retentionDays, readTime } = project;
      if (failed.has(projectId)) continue;
      // Use the earlier time: a process whose clock is ahead must not remove events too early.
      const nowMs = Math.min(clock.now().getTime(), readTime.getTime());
      const time = keptSince(retentionDays, new Date(nowMs));
      if (time === undefined) continue;
      try {
        if (await removeSome(retention, project, time, signal)) isLeft = true;
      } catch (error) {
        signal.throwIfAborted();
        failed.add(projectId);
        log.warn({ projectId, err: error }, 'the old events of a project could not be removed');
      }
    }
    afterId = last.projectId;
  }
}

/** Removes some batches of one project. Returns whether more may be left. */
async function removeSome(
  retention: RetentionStore,
  project: Retaining,
  time: Date,
  signal: AbortSignal,
): Promise<boolean> {
  for (let batches = 0; batches < batchesMax; batches++) {
    signal.throwIfAborted();
    if (!(await retention.removeSomeBefore(project, time, signal))) return false;
  }
  return true;
}
