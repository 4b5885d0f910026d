import type {
  CreateProjectRequest,
  CreateProjectResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import { settingsOf } from '../rules/settings.ts';
import { createProjectsBySaga } from './create-projects-by-saga.ts';
import type { Dependencies } from './dependencies.ts';

export const createCreateProject =
  (dependencies: Dependencies): Handler<CreateProjectRequest, CreateProjectResponse> =>
  async ({ name, settings }, call) => {
    const project = { name, settings: settingsOf(settings, 'settings') };
    const [created] = await createProjectsBySaga(dependencies, call, async () => [project]);
    if (created === undefined) throw new TypeError('the saga created no project');
    return created;
  };
