import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type {
  GetProjectRequest,
  GetProjectResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { projectMessage } from '../messages.ts';
import type { Dependencies } from './dependencies.ts';
import { withOwner } from './shared/with-owner.ts';

export async function getProject(
  { projectId }: GetProjectRequest,
  call: Call,
  { projects, access }: Pick<Dependencies, 'projects' | 'access'>,
): Promise<GetProjectResponse> {
  const needs = { scope: 'project:read', level: Level.LEVEL_MEMBER };
  return await withOwner({ access, call }, needs, async (organizationId, gone) => {
    const found = await projects.get(organizationId, projectId, call.signal);
    if (found === undefined) throw gone;
    return { project: projectMessage(found) };
  });
}
