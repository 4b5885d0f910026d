import { lead, removeLeases } from '@silo/log/leader.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import { runMigration } from '../migration/run-migration.ts';
import type { WorkDependencies } from '../migration/work.ts';

const intervalMs = 1_000;
/** Maximum pause after failures: a project that is being cut over is in use nowhere meanwhile. */
const capMs = 3_000;
/** Maximum per process: each holds some batches of events in memory. */
const atOnceMax = 4;
/** Maximum number of migrations whose lease other processes hold and this one waits for. */
const waitingMax = 100;
const cutoversMax = 100;

/** Captures wait for these: every process takes them over regardless of its other work. */
const cutOver = [MigrationState.MIGRATION_STATE_CUTOVER] as const;
/** All other states with work for a process of this region. */
const driven = [
  MigrationState.MIGRATION_STATE_COPYING,
  MigrationState.MIGRATION_STATE_VERIFYING,
  MigrationState.MIGRATION_STATE_DONE,
  MigrationState.MIGRATION_STATE_CANCELLED,
] as const;

type Dependencies = WorkDependencies & {
  /** Identifies this process; new at every start. */
  owner: string;
};

/**
 * Works on the migrations to this region until the signal aborts. Every replica does this. One at a
 * time works on a migration, under a lease, and another one continues where it stopped. Waiting for
 * a lease takes no turn.
 */
export async function driveMigrations(
  dependencies: Dependencies,
  signal: AbortSignal,
): Promise<void> {
  const { migrations, log } = dependencies;
  const running = new Map<string, Promise<void>>();
  const turns = new Set<string>();
  const take = (id: string) => turns.size < atOnceMax && turns.add(id).has(id);
  // Read again: another process may have led the migration for a long time.
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
 * Competes for the lease of one migration, until no work is left for it, or this process has the
 * lease but no turn for it.
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
  await removeUnused(dependencies, id, signal).catch((error: unknown) => {
    if (signal.aborted) return;
    dependencies.log.warn({ migrationId: id, err: error }, 'a lease could not be removed');
  });
}

/** Removes the lease of a migration without work, which no process claims any more. */
async function removeUnused(
  { db, migrations }: Dependencies,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const record = await migrations.find(id, signal);
  if (!record?.isOpen) await removeLeases(db, [id], signal);
}
