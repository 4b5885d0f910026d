import type {
  GetProjectFactRequest,
  GetProjectFactResponse,
} from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import type { Dependencies } from './dependencies.ts';

export const createGetProjectFact =
  ({
    projects,
  }: Pick<Dependencies, 'projects'>): Handler<GetProjectFactRequest, GetProjectFactResponse> =>
  async ({ projectId }, { signal }) => ({ project: await projects.fact(projectId, signal) });
