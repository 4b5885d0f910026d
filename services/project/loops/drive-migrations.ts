import { lead } from '@silo/log/leader.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import { runMigration } from '../migration/run-migration.ts';
import type { WorkDependencies } from '../migration/work.ts';

const intervalMs = 1_000;
/** The longest pause after failures: a project that is cut over is in use nowhere meanwhile. */
const capMs = 3_000;
/** Of one process: each holds some batches of events in memory. */
const atOnceMax = 4;
/** Those that other processes lead, and this one waits for. */
const waitingMax = 100;
const cutoversMax = 100;

/** Captures wait for these: however much a process does, it follows the one that has begun them. */
const cutOver = [MigrationState.MIGRATION_STATE_CUTOVER] as const;
/** Whatever else a process of this region has to do something for. */
const driven = [
  MigrationState.MIGRATION_STATE_COPYING,
  MigrationState.MIGRATION_STATE_VERIFYING,
  MigrationState.MIGRATION_STATE_DONE,
  MigrationState.MIGRATION_STATE_CANCELLED,
] as const;

type Dependencies = WorkDependencies & {
  /** Names this process; new at every start. */
  owner: string;
};

/**
 * Works, until the signal, on the migrations to this region. Every replica does; on one migration works
 * one at a time, under a lease, and another one goes on where it ended. To wait for a lease takes no turn.
 */
export async function driveMigrations(
  dependencies: Dependencies,
  signal: AbortSignal,
): Promise<void> {
  const { migrations, log } = dependencies;
  const running = new Map<string, Promise<void>>();
  const turns = new Set<string>();
  const take = (id: string) => turns.size < atOnceMax && turns.add(id).has(id);
  // As of now, as another process may have led it for long.
  const isCutOver = async (id: string) =>
    (await migrations.find(id, signal))?.state === MigrationState.MIGRATION_STATE_CUTOVER;
  const begin = (id: string) => {
    const mayLead = async () => (await isCutOver(id)) || take(id);
    const leave = () => turns.delete(id);
    const ended = drive(dependencies, id, { mayLead, leave, signal }).finally(() =>
      running.delete(id),
    );
    running.set(id, ended);
  };
  await runForever({ name: 'drive-migrations', intervalMs, capMs, signal, log }, async () => {
    for (const { _id } of await migrations.open('destination', cutOver, cutoversMax, signal)) {
      if (!running.has(_id)) begin(_id);
    }
    const limit = Math.min(atOnceMax - turns.size, waitingMax - running.size);
    if (limit <= 0) return;
    const others = { except: [...running.keys()], limit };
    for (const { _id } of await migrations.due(driven, others, signal)) begin(_id);
  });
  await Promise.allSettled(running.values());
}

/** When a process may work on a migration that it leads, and what it does afterwards. */
type Turn = { mayLead: () => Promise<boolean>; leave: () => void; signal: AbortSignal };

/**
 * Competes for one migration, until nothing is left to do for it, or it is this process's and there is no
 * turn for it.
 */
async function drive(
  dependencies: Dependencies,
  id: string,
  { mayLead, leave, signal }: Turn,
): Promise<void> {
  const over = new AbortController();
  const options = {
    db: dependencies.db,
    name: id,
    owner: dependencies.owner,
    log: dependencies.log,
    capMs,
  };
  const until = AbortSignal.any([signal, over.signal]);
  await lead({ ...options, signal: until }, async ({ fence, signal: term }) => {
    try {
      if (await mayLead()) await runMigration(dependencies, id, { fence, signal: term });
      over.abort(new DOMException('the migration is over', 'AbortError'));
    } finally {
      leave();
    }
  });
}
