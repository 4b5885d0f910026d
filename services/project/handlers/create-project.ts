import type {
  CreateProjectRequest,
  CreateProjectResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { settingsOf } from '../rules/settings.ts';
import type { Dependencies } from './dependencies.ts';
import { createProjectsBySaga } from './shared/create-projects.ts';

export async function createProject(
  { name, settings }: CreateProjectRequest,
  call: Call,
  dependencies: Dependencies,
): Promise<CreateProjectResponse> {
  const project = { name, settings: settingsOf(settings, 'settings') };
  const [created] = await createProjectsBySaga(dependencies, call, async () => [project]);
  if (created === undefined) throw new TypeError('the saga created no project');
  return created;
}
