import type { Unpropagated } from '@silo/mongo/requests.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import {
  type MoveProjectRequest,
  MoveProjectResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import { requireSameRegion } from '../rules/move.ts';
import { authorizeDestination, decideMove } from './decide-move.ts';
import type { Dependencies } from './dependencies.ts';
import { moveMessage, projectMessage } from './messages.ts';
import { withOwner } from './with-owner.ts';
import type { Moved } from './write-move.ts';

type Uses = Pick<Dependencies, 'projects' | 'slots' | 'moves' | 'eventLog' | 'access'>;

export const createMoveProject =
  (uses: Uses): Handler<MoveProjectRequest, MoveProjectResponse> =>
  async ({ projectId, destinationOrganizationId: destinationId, etag }, call) => {
    const needs = { scope: 'project:write', level: Level.LEVEL_ADMIN };
    return await withOwner({ access: uses.access, call }, needs, async (sourceId, gone) => {
      requireSameRegion(sourceId, destinationId);
      await authorizeDestination(uses, call, destinationId);
      const asked = { sourceId, destinationId, projectIds: [projectId], etag, missing: () => gone };
      return await decideMove(uses, call, asked, { codec: MoveProjectResponse, answer });
    });
  };

function answer({ move, projects: [project] }: Moved): Unpropagated<MoveProjectResponse> {
  return { project: project && projectMessage(project), move: moveMessage(move) };
}
