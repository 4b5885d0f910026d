import type {
  CreateRecommendedProjectsRequest,
  CreateRecommendedProjectsResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { fold } from '@silo/runtime/fold.ts';
import { missingNames, recommendedNames } from '../rules/recommended.ts';
import { settingsOf } from '../rules/settings.ts';
import type { Dependencies } from './dependencies.ts';
import { createProjectsBySaga } from './shared/create-projects.ts';

const recommended = recommendedNames.map((name) => ({ name, searchName: fold(name) }));

export async function createRecommendedProjects(
  { organizationId }: CreateRecommendedProjectsRequest,
  call: Call,
  dependencies: Dependencies,
): Promise<CreateRecommendedProjectsResponse> {
  const projects = await createProjectsBySaga(dependencies, call, async (tx) => {
    const existing = await dependencies.projects.existingNames(tx, organizationId, recommended);
    const settings = settingsOf(undefined, 'settings');
    return missingNames(existing).map((name) => ({ name, settings }));
  });
  return { projects };
}
