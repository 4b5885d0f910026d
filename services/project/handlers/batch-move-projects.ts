import { errors } from '@silo/errors/errors.ts';
import {
  type BatchMoveProjectsRequest,
  BatchMoveProjectsResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import { requireSameRegion } from '../rules/move.ts';
import { authorizeDestination, decideMove } from './decide-move.ts';
import type { Dependencies } from './dependencies.ts';
import { moveMessage } from './messages.ts';

type Uses = Pick<Dependencies, 'projects' | 'slots' | 'moves' | 'eventLog' | 'access'>;

export const createBatchMoveProjects =
  (uses: Uses): Handler<BatchMoveProjectsRequest, BatchMoveProjectsResponse> =>
  async (request, call) => {
    const { sourceOrganizationId: sourceId, projectIds } = request;
    const { destinationOrganizationId: destinationId } = request;
    requireSameRegion(sourceId, destinationId);
    await authorizeDestination(uses, call, destinationId);
    const missing = errors.projectNotFound;
    const asked = { sourceId, destinationId, projectIds, etag: '', missing };
    return await decideMove(uses, call, asked, {
      codec: BatchMoveProjectsResponse,
      answer: ({ move }) => ({ move: moveMessage(move) }),
    });
  };
