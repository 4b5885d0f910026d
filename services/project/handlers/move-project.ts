import type { Unpropagated } from '@silo/mongo/requests.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import {
  type MoveProjectRequest,
  MoveProjectResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { type Handler, keyCaller } from '@silo/rpc/call.ts';
import { moveMessage, projectMessage } from '../messages.ts';
import { requireReachesSource, requireSameRegion } from '../rules/move.ts';
import { type MoveUses, moveProjects } from './move-projects.ts';
import { withOwner } from './with-owner.ts';
import type { Moved } from './write-move.ts';

export const createMoveProject =
  (uses: MoveUses): Handler<MoveProjectRequest, MoveProjectResponse> =>
  async ({ projectId, destinationOrganizationId: destinationId, etag, planFingerprint }, call) => {
    const needs = { scope: 'project:write', level: Level.LEVEL_ADMIN };
    return await withOwner({ access: uses.access, call }, needs, async (sourceId, gone) => {
      requireSameRegion(sourceId, destinationId);
      requireReachesSource(keyCaller(call).key, sourceId);
      const missing = () => gone;
      const move = { sourceId, destinationId, projectIds: [projectId], etag, missing };
      const asked = { ...move, planFingerprint, namesSource: false };
      return await moveProjects(uses, call, asked, { codec: MoveProjectResponse, answer });
    });
  };

function answer({ move, projects: [project] }: Moved): Unpropagated<MoveProjectResponse> {
  return { project: project && projectMessage(project), move: moveMessage(move) };
}
