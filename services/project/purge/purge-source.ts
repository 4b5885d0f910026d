import type { EventLog, Transaction } from '@silo/log/event-log.ts';
import type { Log } from '@silo/runtime/log.ts';
import type { Regions } from '@silo/service/regions.ts';
import { RegionFailed } from '../migration/region-failed.ts';
import { endPlace, firstPlace } from '../rules/events/event-range.ts';
import { leftByPurge, whyNotPurge } from '../rules/purge-source.ts';
import type { MigrationDocument } from '../store/documents.ts';
import type { EventDeletionStore } from '../store/event-deletions.ts';
import type { EventRemoval } from '../store/event-removal.ts';
import type { MigratingProjectStore } from '../store/migrating-projects.ts';
import type { MigrationSource } from '../store/migration-source.ts';
import { type MigrationStore, type MigrationValues, samePurge } from '../store/migrations.ts';
import { DamagedEvent } from '../store/stored-event.ts';
import { compareCopies } from './compare-copies.ts';
import { otherCopy } from './other-copy.ts';

/** Dependencies of a purge. */
export type PurgeDependencies = {
  migrations: Pick<MigrationStore, 'write'>;
  migratingProjects: Pick<MigratingProjectStore, 'find'>;
  removal: EventRemoval;
  deletions: Pick<EventDeletionStore, 'release'>;
  migrationSource: Pick<MigrationSource, 'openReader'>;
  eventLog: Pick<EventLog, 'decide'>;
  regions: Regions;
  log: Log;
};

/**
 * Removes the events that a migration has left in this region, after checking that the other region
 * has all of them, or has deleted the project for good. Ends the purge without removing more if
 * something differs, if an event cannot be decoded, or if the other region does not answer for
 * `patienceMs`.
 */
export async function purgeSource(
  dependencies: PurgeDependencies,
  record: MigrationDocument,
  { patienceMs, signal }: { patienceMs: number; signal: AbortSignal },
): Promise<void> {
  const { _id: migrationId, projectId, destinationRegion: region } = record;
  const { regions, migrationSource, removal, log } = dependencies;
  const left = await dependencies.migratingProjects.find(projectId, signal);
  if (left === undefined) throw new TypeError(`${projectId} is not stored`);
  const kept = leftByPurge(record);
  const other = otherCopy({ regions, region, migrationId, patienceMs }, signal);
  const compare = async () => {
    // An interrupted purge has removed everything: the end of the purge need not wait for the other
    // region.
    if (record.isPartlyRemoved && (await hasNone(dependencies, projectId, signal)))
      return undefined;
    const { purged } = await other.describe();
    if (purged) return undefined;
    const generation = left.eventGeneration ?? 0;
    const copies = { projectId, generation, migrationSource, other };
    return whyNotPurge(await compareCopies(copies, signal), kept);
  };
  const failure = await compare().catch((error: unknown) => {
    if (error instanceof DamagedEvent) {
      return `${error.message}. Repair or remove its document here, and purge again: ${kept}.`;
    }
    if (!(error instanceof RegionFailed)) throw error;
    log.warn({ migrationId, err: error }, 'the copies of a migration could not be compared');
    return `The other region was not compared, as it ${error.message}: ${kept}.`;
  });
  if (failure !== undefined) {
    log.warn({ migrationId, failure }, 'the source of a migration is not purged');
    return await end(dependencies, record, signal, () => ({ failure }));
  }
  if (!(await beginRemoval(dependencies, record, signal))) return;
  if (!(await removal.removeAll(record, samePurge(record), signal))) return;
  await other.notePurge().catch((error: unknown) => {
    if (!(error instanceof RegionFailed)) throw error;
    log.warn({ migrationId, err: error }, 'the other region could not be informed of a purge');
  });
  await end(dependencies, record, signal, (tx) => ({ purgeTime: tx.now }));
}

async function hasNone(
  { migrationSource }: PurgeDependencies,
  projectId: string,
  signal: AbortSignal,
): Promise<boolean> {
  await using reader = await migrationSource.openReader(projectId, signal);
  const all = { after: firstPlace, last: endPlace };
  return (await reader.digest(all, signal, { limit: 1 })).count === 0;
}

/**
 * Records, before any removal, that events may be removed; returns false if another process has
 * ended the purge.
 */
async function beginRemoval(
  { migrations, eventLog }: PurgeDependencies,
  record: MigrationDocument,
  signal: AbortSignal,
): Promise<boolean> {
  const { _id: id, actor } = record;
  const mutation = { id, actor, signal, authorization: undefined };
  const { value } = await eventLog.decide(mutation, (tx) =>
    migrations.write(tx, record, { isPartlyRemoved: true }, samePurge(record)),
  );
  return value !== undefined;
}

async function end(
  { migrations, deletions, eventLog }: PurgeDependencies,
  record: MigrationDocument,
  signal: AbortSignal,
  valuesOf: (tx: Transaction) => MigrationValues,
): Promise<void> {
  const { _id: id, actor } = record;
  await eventLog.decide({ id, actor, signal, authorization: undefined }, async (tx) => {
    const values = { ...valuesOf(tx), isPurging: undefined, isOpen: undefined, putOff: undefined };
    // Another process may have ended the purge, and the project may have come back since.
    const ended = await migrations.write(tx, record, values, samePurge(record));
    if (ended?.purgeTime === undefined) return;
    // Without this copy, no earlier region of the project needs these deletions any more.
    await deletions.release(tx, record.projectId);
  });
}
