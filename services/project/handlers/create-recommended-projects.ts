import type {
  CreateRecommendedProjectsRequest,
  CreateRecommendedProjectsResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import { fold } from '@silo/runtime/fold.ts';
import { missingNames, recommendedNames } from '../rules/recommended.ts';
import { settingsOf } from '../rules/settings.ts';
import { createProjectsBySaga } from './create-projects-by-saga.ts';
import type { Dependencies } from './dependencies.ts';

const recommended = recommendedNames.map((name) => ({ name, searchName: fold(name) }));

export const createCreateRecommendedProjects =
  (
    dependencies: Dependencies,
  ): Handler<CreateRecommendedProjectsRequest, CreateRecommendedProjectsResponse> =>
  async ({ organizationId }, call) => {
    const projects = await createProjectsBySaga(dependencies, call, async (tx) => {
      const existing = await dependencies.projects.existingNames(tx, organizationId, recommended);
      const settings = settingsOf(undefined, 'settings');
      return missingNames(existing).map((name) => ({ name, settings }));
    });
    return { projects };
  };
