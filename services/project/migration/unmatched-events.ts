import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { compareCopies } from '../purge/compare-copies.ts';
import { otherCopy } from '../purge/other-copy.ts';
import { mayHaveRemoved } from '../rules/purge-source.ts';
import { whyUnmatched } from '../rules/unmatched-events.ts';
import type { MigrationDocument } from '../store/documents.ts';
import type { MayRemove } from '../store/migration-copy.ts';
import { readFrom, StoredEvent } from '../store/stored-event.ts';
import type { Work } from './work.ts';

/** Time for which calls are repeated if the source does not answer. */
const patienceMs = 30_000;
/** Maximum number of UUIDs in one log line. */
const loggedMax = 100;

/**
 * Events of an earlier stay are missing or different at the source, although no deletion and no
 * retention there explains it. The source may have lost them, and these may be the only copies.
 */
export class UnmatchedEvents extends Error {
  override readonly name = 'UnmatchedEvents';
}

/**
 * Decides which events a copy may remove here: those that a deletion or retention at the source has
 * removed since the project left this region, or all if staff has decided to discard them.
 */
export async function removalRule(
  work: Work,
  record: MigrationDocument,
): Promise<{ mayRemove?: MayRemove }> {
  const { _id: migrationId, discardsUnmatched } = record;
  const { log } = work.dependencies;
  if (discardsUnmatched) {
    log.warn({ migrationId }, 'unmatched events of an earlier stay are discarded');
    return {};
  }
  const other = sourceOf(work, record);
  const generation = await generationHere(work, record);
  const mayRemove: MayRemove = async (events) => {
    if (events.length === 0) return;
    const stored = events.map(({ document }) => new StoredEvent(document));
    // Read after the source's events: a removal is recorded before it removes any.
    const unmatched = await other.notRemoved(stored, generation, (removal, event) =>
      readFrom(event, (read) => mayHaveRemoved(removal, read)),
    );
    if (unmatched.length === 0) return;
    const uuids = unmatched.slice(0, loggedMax).map(({ label }) => label);
    const found = { migrationId, events: unmatched.length, uuids };
    log.warn(found, 'events of an earlier stay are unmatched');
    throw new UnmatchedEvents(`${unmatched.length} event(s) are unmatched`);
  };
  return { mayRemove };
}

/**
 * Counts all unmatched events, and returns why the migration fails. Undefined if none are left, and
 * during an attempt at the cutover, which must end first and cannot wait for a comparison. Rejects
 * with DamagedEvent.
 */
export async function countUnmatched(
  work: Work,
  record: MigrationDocument,
): Promise<string | undefined> {
  const { _id: migrationId, projectId, destinationRegion: here, sourceRegion: there } = record;
  const { migrations, migrationSource } = work.dependencies;
  const present = await migrations.find(migrationId, work.signal);
  if (present?.state === MigrationState.MIGRATION_STATE_CUTOVER) return undefined;
  const other = sourceOf(work, record);
  const generation = await generationHere(work, record);
  const copies = { projectId, generation, migrationSource, other };
  return whyUnmatched(await compareCopies(copies, work.signal), { here, there });
}

function sourceOf({ dependencies: { regions }, signal }: Work, record: MigrationDocument) {
  const { _id: migrationId, sourceRegion: region } = record;
  return otherCopy({ regions, region, migrationId, patienceMs }, signal);
}

/** Number of deletions of events when the project left this region; 0 if it was never here. */
async function generationHere(
  { dependencies: { migratingProjects }, signal }: Work,
  { projectId }: MigrationDocument,
): Promise<number> {
  return (await migratingProjects.find(projectId, signal))?.eventGeneration ?? 0;
}
