import type { Clock } from '@silo/runtime/clock.ts';
import type { Log } from '@silo/runtime/log.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import type { Peers } from '@silo/service/peers.ts';
import type { CapturedEventStore } from '../store/captured-events.ts';
import type { DeadTokenStore } from '../store/dead-tokens.ts';
import type { EventDeletionStore } from '../store/event-deletions.ts';
import type { MigrationStore } from '../store/migrations.ts';
import type { ProjectStore } from '../store/projects.ts';
import type { PropertyIndexStore } from '../store/property-indexes.ts';

const intervalMs = 30_000;
const batchSize = 100;
const atOnceMax = 8;
/** Maximum number of projects that one turn skips because they could not be purged. */
const failedMax = 1_000;

type Dependencies = {
  projects: ProjectStore;
  events: Pick<CapturedEventStore, 'purge'>;
  deadTokens: Pick<DeadTokenStore, 'purge'>;
  deletions: Pick<EventDeletionStore, 'purge'>;
  indexes: Pick<PropertyIndexStore, 'purge'>;
  migrations: Pick<MigrationStore, 'noteProjectPurged'>;
  secrets: Pick<Peers['token']['secrets'], 'purgeProjectToken'>;
  clock: Clock;
  log: Log;
};

/**
 * Removes deleted projects that are due, until the signal aborts: a project whose token may be
 * removed already cannot be undeleted. Every replica does this: each step does nothing if another
 * process was faster.
 */
export async function purgeProjects(
  dependencies: Dependencies,
  signal: AbortSignal,
): Promise<void> {
  await runForever(
    { name: 'purge-projects', intervalMs, signal, log: dependencies.log },
    (turnSignal) => purgeDue(dependencies, turnSignal),
  );
}

/**
 * One turn: purges all projects that are due now. Logs and skips those that cannot be purged.
 * @internal Exported for tests.
 */
export async function purgeDue(dependencies: Dependencies, signal: AbortSignal): Promise<void> {
  const { projects, clock, log } = dependencies;
  const failed: string[] = [];
  let isOver = false;
  while (!isOver && failed.length < failedMax) {
    const now = clock.now();
    const due = await projects.due(now, { limit: batchSize, except: failed }, signal);
    isOver = due.length < batchSize;
    const left = due.values();
    const purgeLeft = async () => {
      for (const projectId of left) {
        try {
          await purge(dependencies, projectId, now, signal);
        } catch (error) {
          signal.throwIfAborted();
          failed.push(projectId);
          log.warn({ projectId, err: error }, 'a deleted project could not be purged');
        }
      }
    };
    await Promise.all(Array.from({ length: atOnceMax }, purgeLeft));
  }
}

async function purge(
  { projects, events, deadTokens, deletions, indexes, migrations, secrets }: Dependencies,
  projectId: string,
  now: Date,
  signal: AbortSignal,
): Promise<void> {
  if (!(await projects.beginPurge(projectId, now, signal))) return;
  const request = { projectId, correlationId: `purge-${projectId}`, adoptedBy: '' };
  await secrets.purgeProjectToken(request, { signal });
  await events.purge(projectId, signal);
  await deadTokens.purge(projectId, signal);
  await deletions.purge(projectId, signal);
  await indexes.purge(projectId, signal);
  await migrations.noteProjectPurged(projectId, signal);
  await projects.purge(projectId, signal);
}
