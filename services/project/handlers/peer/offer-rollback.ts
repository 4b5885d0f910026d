import { errors } from '@silo/errors/errors.ts';
import type {
  OfferRollbackRequest,
  OfferRollbackResponse,
} from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { Call } from '@silo/rpc/call.ts';
import { migrationMessage } from '../../messages.ts';
import { asMigration, reread } from '../../migration/migration-records.ts';
import { wrongState } from '../../rules/migration-states.ts';
import { newMigration } from '../../rules/new-migration.ts';
import type { EstimateEvents } from '../../store/event-estimate.ts';
import type { MigratingProjectStore } from '../../store/migrating-projects.ts';
import type { Dependencies } from '../dependencies.ts';
import { callingRegion } from './peer-records.ts';

const { MIGRATION_STATE_ACCEPTED: accepted, MIGRATION_STATE_CANCELLED: cancelled } = MigrationState;
const { MIGRATION_STATE_DONE: done } = MigrationState;
const { PROJECT_STATE_ACTIVE: active } = ProjectState;

type OfferRollbackDependencies = Pick<Dependencies, 'eventLog' | 'migrations' | 'region'> & {
  migratingProjects: Pick<MigratingProjectStore, 'read'>;
  estimateEvents: EstimateEvents;
};

export async function offerRollback(
  { migrationId, rollbackId, actor }: OfferRollbackRequest,
  call: Call,
  dependencies: OfferRollbackDependencies,
): Promise<OfferRollbackResponse> {
  const { migrations, migratingProjects, eventLog, region, estimateEvents } = dependencies;
  const finished = await migrations.find(migrationId, call.signal);
  const isTheirs = finished?.sourceRegion === callingRegion(call);
  if (finished?.side !== 'destination' || !isTheirs) throw errors.migrationNotFound(migrationId);
  const { events } = await estimateEvents(finished.projectId, call.signal);
  const mutation = { ...asMigration(finished, call), id: rollbackId };
  const { value } = await eventLog.decide(mutation, async (tx) => {
    const original = await reread(migrations, tx, migrationId);
    const begun = original.rolledBackBy && (await migrations.read(tx, original.rolledBackBy));
    if (begun && begun.state !== cancelled) return begun;
    if (original.state !== done) throw wrongState(original);
    if (original.purgeTime !== undefined) throw wrongState(original, 'its source is purged');
    const { projectId } = original;
    const project = await migratingProjects.read(tx, projectId);
    if (project?.state !== active) {
      throw project === undefined
        ? errors.projectNotFound(projectId)
        : errors.projectNotActive({ projectId, state: project.state });
    }
    const open = await migrations.readOpen(tx, projectId);
    if (open) throw errors.migrationInProgress({ projectId, migrationId: open._id });
    const rollback = newMigration({
      ...{ _id: rollbackId, side: 'source', state: accepted, rollbackOf: migrationId },
      ...{ projectId, projectName: project.name, actor, requesterAccountId: '' },
      ...{ sourceRegion: region, destinationRegion: original.sourceRegion },
      sourceOrganizationId: project.organizationId,
      destinationOrganizationId: original.sourceOrganizationId,
      ...{ requestTime: tx.now, acceptTime: tx.now, eventsTotal: events },
    });
    await migrations.write(tx, original, { rolledBackBy: rollbackId, isRollingBack: true });
    await migrations.insert(tx, rollback);
    return rollback;
  });
  return { migration: migrationMessage(value) };
}
