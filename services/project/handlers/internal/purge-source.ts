import { errors } from '@silo/errors/errors.ts';
import type {
  PurgeSourceRequest,
  PurgeSourceResponse,
} from '@silo/protos/gen/silo/project/internal/v1/migration_staff_service.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { Call } from '@silo/rpc/call.ts';
import { migrationMessage } from '../../messages.ts';
import { wrongState } from '../../rules/migration-states.ts';
import type { MigratingProjectStore } from '../../store/migrating-projects.ts';
import type { Dependencies } from '../dependencies.ts';
import { asMigration, reread } from '../shared/migration-records.ts';

type Uses = Pick<Dependencies, 'migrations' | 'eventLog'> & {
  migratingProjects: Pick<MigratingProjectStore, 'read'>;
};

/** The loop of purges compares and removes. */
export async function purgeSource(
  { migrationId }: PurgeSourceRequest,
  call: Call,
  { migrations, eventLog, migratingProjects }: Uses,
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
    const isRolledBack = rollback && rollback.state !== MigrationState.MIGRATION_STATE_CANCELLED;
    // An earlier one leads to a region that the project may have left since: where two regions compare
    // with what each other has left, both would remove it.
    const isLast = last?._id === migrationId;
    if (state !== MigrationState.MIGRATION_STATE_DONE) throw wrongState(present);
    if (isRolledBack) throw wrongState(present, 'it was rolled back');
    if (!isLast) throw wrongState(present, 'the project has migrated again since');
    if (!isAway) throw wrongState(present, 'the project is in this region');
    // Subscribers are not informed yet.
    if (isOpen) throw errors.requestInProgress();
    const open = await migrations.readOpen(tx, projectId);
    if (open !== undefined) throw errors.migrationInProgress({ projectId, migrationId: open._id });
    const purgeNumber = (present.purgeNumber ?? 0) + 1;
    const values = { isOpen: true, isPurging: true, purgeNumber, failure: undefined } as const;
    return (await migrations.write(tx, present, values)) ?? present;
  });
  return { migration: migrationMessage(value) };
}
