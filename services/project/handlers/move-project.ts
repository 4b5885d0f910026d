import type { Outcome, Unpropagated } from '@silo/mongo/mutation.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import {
  type MoveProjectRequest,
  MoveProjectResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import { moveMessage, projectMessage } from '../messages.ts';
import { requireReachesSource, requireSameRegion } from '../rules/move.ts';
import { type MoveDependencies, moveProjects } from './shared/move-projects.ts';
import { withOwner } from './shared/with-owner.ts';
import type { Moved } from './shared/write-move.ts';

export async function moveProject(
  {
    projectId,
    destinationOrganizationId: destinationId,
    etag,
    planFingerprint,
  }: MoveProjectRequest,
  call: Call,
  dependencies: MoveDependencies,
): Promise<Outcome<MoveProjectResponse>> {
  const needs = { scope: 'project:write', level: Level.LEVEL_ADMIN };
  return await withOwner({ access: dependencies.access, call }, needs, async (sourceId, gone) => {
    requireSameRegion(sourceId, destinationId);
    requireReachesSource(keyCaller(call).key, sourceId);
    const missing = () => gone;
    const move = { sourceId, destinationId, projectIds: [projectId], etag, missing };
    const requested = { ...move, planFingerprint, namesSource: false };
    return await moveProjects(dependencies, call, requested, {
      codec: MoveProjectResponse,
      answer,
    });
  });
}

function answer({ move, projects: [project] }: Moved): Unpropagated<MoveProjectResponse> {
  return { project: project && projectMessage(project), move: moveMessage(move) };
}
