import type {
  GetProjectFactRequest,
  GetProjectFactResponse,
} from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import type { Dependencies } from '../dependencies.ts';

export async function getProjectFact(
  { projectId }: GetProjectFactRequest,
  { signal }: Call,
  { projects }: Pick<Dependencies, 'projects'>,
): Promise<GetProjectFactResponse> {
  return { project: await projects.fact(projectId, signal) };
}
