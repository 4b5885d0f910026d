import type { Clock } from '@silo/runtime/clock.ts';
import type { Log } from '@silo/runtime/log.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import { keptSince } from '../rules/events/retention.ts';
import type { RetentionStore } from '../store/retention.ts';

const intervalMs = 10 * 60 * 1000;

type Uses = { retention: RetentionStore; clock: Clock; log: Log };

/**
 * Removes, until the signal, events that are older than the settings of their project keep them. One
 * process at a time should: deletions compete with captures.
 */
export async function endRetention(uses: Uses, signal: AbortSignal): Promise<void> {
  const options = { name: 'end-retention', intervalMs, signal, log: uses.log };
  await runForever(options, (turnSignal) => endDue(uses, turnSignal));
}

/**
 * One turn: what no project keeps any more. A project that fails ends no other's turn.
 * @internal Exported for tests.
 */
export async function endDue({ retention, clock, log }: Uses, signal: AbortSignal): Promise<void> {
  let afterId = '';
  for (;;) {
    const some = await retention.next(afterId, signal);
    const last = some.at(-1);
    if (last === undefined) return;
    for (const project of some) {
      const { projectId, retentionDays, readTime } = project;
      // The earlier time: a process whose clock is ahead must remove nothing that is kept.
      const nowMs = Math.min(clock.now().getTime(), readTime.getTime());
      const time = keptSince(retentionDays, new Date(nowMs));
      if (time === undefined) continue;
      try {
        await retention.removeBefore(project, time, signal);
      } catch (error) {
        signal.throwIfAborted();
        log.warn({ projectId, err: error }, 'the old events of a project could not be removed');
      }
    }
    afterId = last.projectId;
  }
}
