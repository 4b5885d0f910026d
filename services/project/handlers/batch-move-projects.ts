import { errors } from '@silo/errors/errors.ts';
import type { Outcome } from '@silo/mongo/mutation.ts';
import {
  type BatchMoveProjectsRequest,
  BatchMoveProjectsResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { moveMessage } from '../messages.ts';
import { requireSameRegion } from '../rules/move.ts';
import { type MoveDependencies, moveProjects } from './shared/move-projects.ts';

export async function batchMoveProjects(
  request: BatchMoveProjectsRequest,
  call: Call,
  dependencies: MoveDependencies,
): Promise<Outcome<BatchMoveProjectsResponse>> {
  const { projectIds, planFingerprint } = request;
  const { sourceOrganizationId: sourceId, destinationOrganizationId: destinationId } = request;
  requireSameRegion(sourceId, destinationId);
  const missing = errors.projectNotFound;
  const ends = { sourceId, destinationId, namesSource: true };
  const requested = { ...ends, projectIds, etag: '', missing, planFingerprint };
  return await moveProjects(dependencies, call, requested, {
    codec: BatchMoveProjectsResponse,
    answer: ({ move }) => ({ move: moveMessage(move) }),
  });
}
