import { SiloError } from '@silo/errors/silo-error.ts';
import type { EventLog } from '@silo/log/event-log.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import type { Log } from '@silo/runtime/log.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import { askRegion, type Regions } from '@silo/service/regions.ts';
import { deletedEvent } from '../events.ts';
import type { MigrationDocument } from '../store/documents.ts';
import type { MigratedProject, MigratingProjectStore } from '../store/migrating-projects.ts';
import type { MigrationStore } from '../store/migrations.ts';
import { each } from './each.ts';
import { inPages } from './in-pages.ts';

const intervalMs = 10 * 60 * 1_000;
/** Maximum number of projects in a page. */
const projectsMax = 100;
/** Maximum number of concurrent calls to one other region. */
const atOnceMax = 4;
/** Timeout of one call. */
const deadlineMs = 5_000;
/** Maximum number of ids in one log line. */
const loggedMax = 10;

/** Errors of a region that may have lost the project, for example after a restored backup. */
const unknownThere: readonly ErrorReason[] = [
  ErrorReason.ERROR_REASON_MIGRATION_NOT_FOUND,
  ErrorReason.ERROR_REASON_PROJECT_NOT_FOUND,
];

type Dependencies = {
  migrations: Pick<MigrationStore, 'lastFrom' | 'readOpen' | 'write'>;
  migratingProjects: Pick<MigratingProjectStore, 'migratedTo' | 'end'>;
  eventLog: Pick<EventLog, 'decide'>;
  regions: Regions;
  log: Log;
};

/**
 * Until the signal aborts, ends the projects that have migrated from this region and are purged in
 * the other one: they become deleted projects that are due, and the loop of purges removes them
 * with their tokens. Every replica does this. A region that does not answer delays no other region.
 */
export async function endMigrated(dependencies: Dependencies, signal: AbortSignal): Promise<void> {
  const options = { name: 'end-migrated', intervalMs, signal, log: dependencies.log };
  const regions = [...dependencies.regions.keys()];
  await Promise.all(
    regions.map((region) => runForever(options, endingMigrated(dependencies, region))),
  );
}

/**
 * Takes one turn per call: asks about the projects that have migrated to one region, page by page.
 * A turn after a failed one begins at the next page.
 * @internal Exported for tests.
 */
export function endingMigrated(
  dependencies: Dependencies,
  region: string,
): (signal: AbortSignal) => Promise<void> {
  const { migrations, migratingProjects, log } = dependencies;
  const next = inPages(projectsMax, (after, signal) =>
    migratingProjects.migratedTo(region, { after, limit: projectsMax }, signal),
  );
  const endPage = async (page: readonly MigratedProject[], signal: AbortSignal) => {
    const unknown: string[] = [];
    const endIfPurged = async (project: MigratedProject) => {
      const last = await migrations.lastFrom(project._id, signal);
      // The record is open until the end is reported, and while the source is purged.
      if (last === undefined || last.isOpen || last.destinationRegion !== region) return;
      const found = await find(dependencies, last, signal);
      if (found === 'unknown') unknown.push(last._id);
      if (found === 'purged') await end(dependencies, project, last, signal);
    };
    await each(page, atOnceMax, endIfPurged);
    if (unknown.length === 0) return;
    const migrationIds = unknown.slice(0, loggedMax);
    log.warn(
      { region, count: unknown.length, migrationIds },
      'projects that have migrated are not known in their region, and are kept here',
    );
  };
  return async (signal) => {
    for (let isLast = false; !isLast; ) {
      const page = await next(signal);
      await endPage(page, signal);
      isLast = page.length < projectsMax;
    }
  };
}

/** Only a region that has recorded the purge says that a project is purged. */
async function find(
  { regions }: Dependencies,
  { _id: migrationId, destinationRegion }: MigrationDocument,
  signal: AbortSignal,
): Promise<'purged' | 'stored' | 'unknown'> {
  const request = { migrationId, countsEvents: false };
  try {
    const { purged } = await askRegion(regions, destinationRegion, (client) =>
      client.describeProject(request, { signal, deadlineMs }),
    );
    return purged ? 'purged' : 'stored';
  } catch (error) {
    if (error instanceof SiloError && unknownThere.includes(error.reason)) return 'unknown';
    throw error;
  }
}

/** Does nothing if the project or its migration has changed since they were read. */
async function end(
  { migrations, migratingProjects, eventLog, log }: Dependencies,
  project: MigratedProject,
  last: MigrationDocument,
  signal: AbortSignal,
): Promise<void> {
  const { _id: migrationId, projectId, purgeTime } = last;
  const actor = 'silo';
  const mutation = { id: migrationId, actor, signal, authorization: undefined };
  const { value: isEnded } = await eventLog.decide(mutation, async (tx) => {
    if ((await migrations.readOpen(tx, projectId)) !== undefined) return false;
    const ended = await migratingProjects.end(tx, project);
    if (ended === undefined) return false;
    // A rollback writes this record too, so it cannot begin at the same time, nor afterwards.
    await migrations.write(tx, last, { purgeTime: purgeTime ?? tx.now });
    tx.emit(deletedEvent(ended, { actor, tx }));
    return true;
  });
  if (isEnded) log.info({ projectId, migrationId }, 'a project is purged in its region');
}
