import { errors } from '@silo/errors/errors.ts';
import {
  type BatchMoveProjectsRequest,
  BatchMoveProjectsResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import { moveMessage } from '../messages.ts';
import { requireSameRegion } from '../rules/move.ts';
import { type MoveUses, moveProjects } from './move-projects.ts';

export const createBatchMoveProjects =
  (uses: MoveUses): Handler<BatchMoveProjectsRequest, BatchMoveProjectsResponse> =>
  async (request, call) => {
    const { projectIds, planFingerprint } = request;
    const { sourceOrganizationId: sourceId, destinationOrganizationId: destinationId } = request;
    requireSameRegion(sourceId, destinationId);
    const missing = errors.projectNotFound;
    const ends = { sourceId, destinationId, namesSource: true };
    const asked = { ...ends, projectIds, etag: '', missing, planFingerprint };
    return await moveProjects(uses, call, asked, {
      codec: BatchMoveProjectsResponse,
      answer: ({ move }) => ({ move: moveMessage(move) }),
    });
  };
