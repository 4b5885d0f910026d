import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type {
  PreviewMigrationRequest,
  PreviewMigrationResponse,
} from '@silo/protos/gen/silo/project/v1/migration_service.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import { askRegion } from '@silo/service/regions.ts';
import { accessChangeMessage, slotsChange } from '../messages.ts';
import {
  copySeconds,
  leftBehind,
  requireDestination,
  requireMigrations,
} from '../rules/migration.ts';
import { requireReachesSource } from '../rules/move.ts';
import { accessChanges } from '../rules/move-access.ts';
import { planFingerprint } from '../rules/plan-fingerprint.ts';
import type { EstimateEvents } from '../store/event-estimate.ts';
import type { Dependencies } from './dependencies.ts';
import { withOwner } from './shared/with-owner.ts';

type PreviewMigrationDependencies = Pick<
  Dependencies,
  'projects' | 'slots' | 'access' | 'readMoveAccess' | 'reading' | 'region' | 'regions'
> & { estimateEvents: EstimateEvents };

export async function previewMigration(
  {
    projectId,
    destinationRegion,
    destinationOrganizationId: destinationId,
  }: PreviewMigrationRequest,
  call: Call,
  dependencies: PreviewMigrationDependencies,
): Promise<PreviewMigrationResponse> {
  const { projects, slots, region, regions, readMoveAccess, reading, estimateEvents } =
    dependencies;
  const { signal } = call;
  const needs = { scope: 'project:read', level: Level.LEVEL_ADMIN };
  return await withOwner({ access: dependencies.access, call }, needs, async (sourceId, gone) => {
    const to = { destinationRegion, destinationOrganizationId: destinationId };
    requireDestination({ region, known: regions.keys() }, to);
    requireReachesSource(keyCaller(call).key, sourceId);
    const project = await projects.get(sourceId, projectId, signal);
    if (project === undefined) throw gone;
    const own = (await slots.getMany([sourceId], signal)).get(sourceId);
    const source = requireMigrations(sourceId, own);
    const peek = { organizationId: destinationId };
    const ends = { sourceId, destinationId, projectIds: [projectId] };
    const read = () =>
      Promise.all([
        readMoveAccess({ ...ends, withNames: true }, signal),
        estimateEvents(projectId, signal),
      ]);
    const [destination, [access, estimate]] = await Promise.all([
      askRegion(regions, destinationRegion, (client) => client.peekDestination(peek, { signal })),
      reading(call, read),
    ]);
    const changes = accessChanges(ends, access);
    const { events } = estimate;
    return {
      ...estimate,
      seconds: events === undefined ? undefined : copySeconds(events),
      destinationOrganizationName: destination.name,
      source: slotsChange(source, -1),
      destination: destination.slots,
      destinationLacksMigrations: !destination.migrations,
      losing: accessChangeMessage(changes.losing, access, keyCaller(call).key.accountId),
      leftBehind: [...leftBehind],
      planFingerprint: planFingerprint({ ...ends, projects: [project], refusals: [], changes }),
    };
  });
}
