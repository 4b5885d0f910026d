import type { Clock } from '@silo/runtime/clock.ts';
import type { Log } from '@silo/runtime/log.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import type { Peers } from '@silo/service/peers.ts';
import type { ProjectStore } from '../store/projects.ts';

const intervalMs = 30_000;
const batchSize = 100;

type Uses = {
  projects: ProjectStore;
  secrets: Pick<Peers['token']['secrets'], 'purgeProjectToken'>;
  clock: Clock;
  log: Log;
};

/**
 * Removes, until the signal, deleted projects whose time has come: none can be undeleted whose token
 * may be gone already. Every replica does: each step does nothing where another was faster.
 */
export async function purgeProjects(uses: Uses, signal: AbortSignal): Promise<void> {
  await runForever({ name: 'purge-projects', intervalMs, signal, log: uses.log }, (turnSignal) =>
    purgeDue(uses, turnSignal),
  );
}

/** One turn: everything that is due now. Rejects where some could not be purged. */
export async function purgeDue(
  { projects, secrets, clock }: Omit<Uses, 'log'>,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const now = clock.now();
    const due = await projects.due(now, batchSize, signal);
    for (const projectId of due) {
      if (!(await projects.beginPurge(projectId, now, signal))) continue;
      const request = { projectId, correlationId: `purge-${projectId}` };
      await secrets.purgeProjectToken(request, { signal });
      await projects.purge(projectId, signal);
    }
    if (due.length < batchSize) return;
  }
}
