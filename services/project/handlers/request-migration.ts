import type { Demand } from '@silo/access/access.ts';
import { errors } from '@silo/errors/errors.ts';
import type { Transaction } from '@silo/log/event-log.ts';
import type { Outcome } from '@silo/mongo/mutation.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import {
  type RequestMigrationRequest,
  RequestMigrationResponse,
} from '@silo/protos/gen/silo/project/v1/migration_service.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import { beforePermit } from '@silo/rpc/check-access.ts';
import { askRegion } from '@silo/service/regions.ts';
import { newId } from '@silo/tokens/ids.ts';
import { migrationMessage } from '../messages.ts';
import { cancelIfGone } from '../migration/migration-records.ts';
import { requireDestination, requireMigrations } from '../rules/migration.ts';
import { requireReachesSource } from '../rules/move.ts';
import { accessChanges } from '../rules/move-access.ts';
import { newMigration } from '../rules/new-migration.ts';
import { planChanges } from '../rules/plan-fingerprint.ts';
import type { ProjectDocument } from '../store/documents.ts';
import type { EstimateEvents } from '../store/event-estimate.ts';
import type { FenceHere } from '../store/project-fence.ts';
import type { Dependencies } from './dependencies.ts';
import { withOwner } from './shared/with-owner.ts';

const requested = MigrationState.MIGRATION_STATE_REQUESTED;

type RequestMigrationDependencies = Pick<
  Dependencies,
  | 'projects'
  | 'slots'
  | 'migrations'
  | 'eventLog'
  | 'access'
  | 'readMoveAccess'
  | 'region'
  | 'regions'
> & { fenceHere: FenceHere; estimateEvents: EstimateEvents };

export async function requestMigration(
  request: RequestMigrationRequest,
  call: Call,
  dependencies: RequestMigrationDependencies,
): Promise<Outcome<RequestMigrationResponse>> {
  const { destinationRegion, destinationOrganizationId: destinationId, planFingerprint } = request;
  const { region, regions, eventLog } = dependencies;
  const { signal } = call;
  const { key } = keyCaller(call);
  const { accountId } = key;
  const needs = { scope: 'project:write', level: Level.LEVEL_ADMIN };
  return await withOwner({ access: dependencies.access, call }, needs, async (sourceId, gone) => {
    requireDestination({ region, known: regions.keys() }, request);
    requireReachesSource(key, sourceId);
    const ends = { sourceId, destinationId, projectIds: [request.projectId] };
    const peek = { organizationId: destinationId };
    const target = { ...needs, projectId: request.projectId };
    const ask = () =>
      Promise.all([
        planFingerprint === ''
          ? undefined
          : dependencies.readMoveAccess({ ...ends, withNames: false }, signal),
        dependencies.estimateEvents(request.projectId, signal),
        askRegion(regions, destinationRegion, (client) => client.peekDestination(peek, { signal })),
      ]);
    const permitted = await beforePermit({ access: dependencies.access, call }, target, ask);
    const [[access, { events }], { project: owned }] = permitted;
    // If the project has moved meanwhile, nothing is decided with another organization's facts.
    if (owned?.fact.organizationId !== sourceId) throw gone;
    const differences = (project: ProjectDocument) => {
      if (access === undefined) return [];
      const changes = accessChanges(ends, access);
      return planChanges(planFingerprint, { ...ends, projects: [project], refusals: [], changes });
    };
    return await eventLog.mutate(call, RequestMigrationResponse, async (tx) => {
      const project = await requireActive(dependencies, tx, { sourceId, request, gone });
      requireMigrations(sourceId, await dependencies.slots.read(tx, sourceId));
      const changed = differences(project);
      if (changed.length > 0) throw errors.planChanged(changed);
      const migration = newMigration({
        ...{ _id: newId(`mig_${region}`, { now: tx.now }), side: 'source', state: requested },
        ...{ projectId: project._id, projectName: project.name },
        ...{ sourceRegion: region, destinationRegion },
        ...{ sourceOrganizationId: sourceId, destinationOrganizationId: destinationId },
        ...{ actor: accountId, requesterAccountId: accountId, requestTime: tx.now },
        eventsTotal: events,
      });
      await dependencies.migrations.insert(tx, migration);
      const response = { migration: migrationMessage(migration) };
      return { response, alsoDemands: [reachesSource(sourceId)] };
    });
  });
}

/** The demand of `requireReachesSource`, for repeated requests. */
function reachesSource(organizationId: string): Demand {
  const hiddenAs = { reason: ErrorReason.ERROR_REASON_KEY_RESTRICTED, detail: '' };
  return { organizationId, level: Level.LEVEL_ADMIN, hiddenAs };
}

/**
 * Returns the project if it has no migration; the transaction prevents a concurrent one. Cancels an
 * open migration of an organization that owned the project before, because the present owner cannot
 * see it.
 */
async function requireActive(
  { projects, migrations, fenceHere }: RequestMigrationDependencies,
  tx: Transaction,
  { sourceId, request, gone }: { sourceId: string; request: RequestMigrationRequest; gone: Error },
): Promise<ProjectDocument> {
  const { projectId } = request;
  const project = await projects.read(tx, sourceId, projectId);
  if (project === undefined || !(await fenceHere(tx, projectId))) throw gone;
  const open = await migrations.readOpen(tx, projectId);
  if (open === undefined) return project;
  const ended = await cancelIfGone(migrations, tx, open, project);
  if (ended === undefined) throw errors.migrationInProgress({ projectId, migrationId: open._id });
  return project;
}
