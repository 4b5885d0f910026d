import type { ExecutionContext } from 'ava';
import { signedInHome } from '../harness/cli.ts';
import {
  choosePlan,
  createOrganization,
  createProject,
  present,
  type ScenarioContext,
} from './support.ts';

/** A user of the command with a project that can move to another of the user's organizations. */
export async function cliMover(t: ExecutionContext<ScenarioContext>) {
  const { cli, person } = await signedInHome(t);
  const sourceId = person.organization.id;
  await choosePlan(person.api, sourceId);
  const { organizationId: destinationId } = await createOrganization(person.api, 'Acme');
  await choosePlan(person.api, destinationId);
  const create = (name: string) => createProject(person.api, sourceId, { name });
  const project = await create('Web');
  const ownerOf = async (projectId = project.id) => {
    const answer = await person.api.projects.getProject({ projectId });
    return present(answer.project).organizationId;
  };
  return { cli, person, sourceId, destinationId, project, create, ownerOf };
}
