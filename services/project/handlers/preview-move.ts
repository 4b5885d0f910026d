import { errors } from '@silo/errors/errors.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type {
  PreviewMoveRequest,
  PreviewMoveResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { type Call, keyCaller, targetOrganization } from '@silo/rpc/call.ts';
import { demand } from '@silo/rpc/check-access.ts';
import { accessChangeMessage, slotsChange } from '../messages.ts';
import { countMoving, requireReachesSource, requireSameRegion } from '../rules/move.ts';
import { accessChanges } from '../rules/move-access.ts';
import { moveBlockers } from '../rules/move-blockers.ts';
import { moveChecks } from '../rules/move-checks.ts';
import { planFingerprint } from '../rules/plan-fingerprint.ts';
import type { Dependencies } from './dependencies.ts';
import { projectsOf, type RequestedMove, requireUsable } from './shared/move-projects.ts';
import { withOwner } from './shared/with-owner.ts';

type PreviewMoveDependencies = Pick<
  Dependencies,
  'projects' | 'slots' | 'access' | 'readMoveAccess' | 'reading'
>;

const scope = 'project:read';

export async function previewMove(
  { projectId, projectIds, destinationOrganizationId: destinationId }: PreviewMoveRequest,
  call: Call,
  dependencies: PreviewMoveDependencies,
): Promise<PreviewMoveResponse> {
  if (projectId === '') {
    const sourceId = targetOrganization(call).id;
    const missing = errors.projectNotFound;
    return await preview(dependencies, call, { sourceId, destinationId, projectIds, missing });
  }
  const needs = { scope, level: Level.LEVEL_ADMIN };
  return await withOwner({ access: dependencies.access, call }, needs, async (sourceId, gone) => {
    const requested = { sourceId, destinationId, projectIds: [projectId], missing: () => gone };
    return await preview(dependencies, call, requested);
  });
}

async function preview(
  dependencies: PreviewMoveDependencies,
  call: Call,
  requested: Omit<RequestedMove, 'etag' | 'planFingerprint' | 'namesSource'>,
): Promise<PreviewMoveResponse> {
  const { sourceId, destinationId, projectIds } = requested;
  const { signal } = call;
  requireSameRegion(sourceId, destinationId);
  requireReachesSource(keyCaller(call).key, sourceId);
  const needs = { scope, organizationId: destinationId, level: Level.LEVEL_MEMBER };
  const { organization: caller } = await demand(dependencies.access, call, needs);
  if (caller === undefined) throw errors.organizationNotFound(destinationId);
  const [found, both, access] = await dependencies.reading(call, () =>
    Promise.all([
      dependencies.projects.getMany(sourceId, projectIds, signal),
      dependencies.slots.getMany([sourceId, destinationId], signal),
      dependencies.readMoveAccess({ ...requested, withNames: true }, signal),
    ]),
  );
  const projects = projectsOf(found, requested);
  const { source, destination } = requireUsable(both, requested);
  const refusals = moveBlockers({ projects, source, destinationId, destination, caller });
  const changes = accessChanges(requested, access);
  const moving = countMoving({ projects, source, destination });
  const { accountId } = keyCaller(call).key;
  return {
    checks: moveChecks(refusals),
    allowed: refusals.length === 0,
    losing: accessChangeMessage(changes.losing, access, accountId),
    gaining: accessChangeMessage(changes.gaining, access, accountId),
    source: slotsChange(source, -moving),
    destination: slotsChange(destination, moving),
    planFingerprint: planFingerprint({ sourceId, destinationId, projects, refusals, changes }),
  };
}
