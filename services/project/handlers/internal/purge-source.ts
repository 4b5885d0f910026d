import { errors } from '@silo/errors/errors.ts';
import { bareName } from '@silo/protos/enum-name.ts';
import type {
  PurgeSourceRequest,
  PurgeSourceResponse,
} from '@silo/protos/gen/silo/project/internal/v1/migration_staff_service.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { Call } from '@silo/rpc/call.ts';
import { migrationMessage } from '../../messages.ts';
import { asMigration, reread } from '../../migration/migration-records.ts';
import { wrongState } from '../../rules/migration-states.ts';
import type { MigrationDocument } from '../../store/documents.ts';
import type { MigratingProjectStore } from '../../store/migrating-projects.ts';
import type { Dependencies } from '../dependencies.ts';

const { MIGRATION_STATE_CUTOVER: cutover, MIGRATION_STATE_DONE: done } = MigrationState;
const { MIGRATION_STATE_CANCELLED: cancelled, MIGRATION_STATE_FAILED: failed } = MigrationState;

/** Subscribers are not informed before that. */
const untilRetired = 'waits until the token service has retired the project’s token in this region';

type PurgeSourceDependencies = Pick<Dependencies, 'migrations' | 'eventLog'> & {
  migratingProjects: Pick<MigratingProjectStore, 'read'>;
};

/** PurgeSource: requests a purge; the loop of purges compares and removes. */
export async function purgeSource(
  { migrationId }: PurgeSourceRequest,
  call: Call,
  { migrations, eventLog, migratingProjects }: PurgeSourceDependencies,
): Promise<PurgeSourceResponse> {
  const record = await migrations.find(migrationId, call.signal);
  if (record === undefined) throw errors.migrationNotFound(migrationId);
  if (record.side !== 'source') throw errors.migrationElsewhere(record.sourceRegion);
  const last = await migrations.lastFrom(record.projectId, call.signal);
  const { value } = await eventLog.decide(asMigration(record, call), async (tx) => {
    const present = await reread(migrations, tx, migrationId);
    const { projectId, state, isOpen, isPurging, purgeTime, rolledBackBy } = present;
    if (isPurging || purgeTime !== undefined) return present;
    const project = await migratingProjects.read(tx, projectId);
    const isAway = project?.state === ProjectState.PROJECT_STATE_MIGRATED;
    const rollback = rolledBackBy && (await migrations.read(tx, rolledBackBy));
    const rolledBack = rollback && whyRolledBack(rollback);
    // The destination of an earlier migration may not have the project any more. If two regions
    // compared with each other's copies, both copies would be removed.
    const isLast = last?._id === migrationId;
    if (state !== done) throw wrongState(present);
    if (rolledBack) throw wrongState(present, rolledBack);
    if (!isLast) throw wrongState(present, 'the project has migrated again since');
    if (!isAway) throw wrongState(present, 'the project is in this region');
    if (isOpen) throw errors.notReady('the purge', untilRetired);
    const open = await migrations.readOpen(tx, projectId);
    if (open !== undefined) throw errors.migrationInProgress({ projectId, migrationId: open._id });
    const purgeNumber = (present.purgeNumber ?? 0) + 1;
    const values = { isOpen: true, isPurging: true, purgeNumber, failure: undefined } as const;
    return (await migrations.write(tx, present, values)) ?? present;
  });
  return { migration: migrationMessage(value) };
}

/**
 * Why the rollback of a migration prevents the purge of its source, for people; undefined if it
 * does not.
 */
function whyRolledBack({
  _id,
  state,
}: Pick<MigrationDocument, '_id' | 'state'>): string | undefined {
  if (state === cancelled) return undefined;
  if (state === done) return `it was rolled back by ${_id}`;
  return `its rollback ${_id} is ${bareName(MigrationState, state)}: ${adviceOf(state)}`;
}

function adviceOf(state: MigrationState): string {
  if (state === cutover) return 'await its end';
  const first = state === failed ? 'retry it' : 'await its end';
  return `${first}, or cancel it and purge again`;
}
