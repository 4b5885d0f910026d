import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type {
  GetProjectRequest,
  GetProjectResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import { projectMessage } from '../messages.ts';
import type { Dependencies } from './dependencies.ts';
import { withOwner } from './with-owner.ts';

export const createGetProject =
  ({
    projects,
    access,
  }: Pick<Dependencies, 'projects' | 'access'>): Handler<GetProjectRequest, GetProjectResponse> =>
  async ({ projectId }, call) => {
    const needs = { scope: 'project:read', level: Level.LEVEL_MEMBER };
    return await withOwner({ access, call }, needs, async (organizationId, gone) => {
      const found = await projects.get(organizationId, projectId, call.signal);
      if (found === undefined) throw gone;
      return { project: projectMessage(found) };
    });
  };
