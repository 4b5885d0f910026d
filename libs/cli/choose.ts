import type { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { FoundProject } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { fold } from '@silo/runtime/fold.ts';
import type { Cli } from './cli.ts';

// So many are filtered here, without waiting for an answer at each key.
const loadedMax = 1_000;
const shownMax = 100;

/** The project switcher: your projects by name, the current one marked and under the cursor. */
export async function chooseProject(cli: Cli, message: string): Promise<Project> {
  const { api, find } = await cli.signedIn();
  const search = (query: string, pageSize: number) =>
    api.projects.searchProjects({ query, pageSize, pageToken: '' });
  const [{ currentProjectId }, loaded] = await Promise.all([find.account(), search('', loadedMax)]);
  const all = loaded.nextPageToken === '' ? loaded.results : undefined;
  const id = await cli.prompt.choose(
    message,
    async (term) => {
      const found = all?.filter(named(term)) ?? (await search(term, shownMax)).results;
      return found.slice(0, shownMax).map(choiceOf);
    },
    { initial: currentProjectId || undefined, instead: 'name the project.' },
  );
  return all?.find(({ project }) => project?.id === id)?.project ?? find.project(id);
}

/** As SearchProjects finds them: by a part of either name, in any case and normal form. */
function named(term: string): (found: FoundProject) => boolean {
  const wanted = fold(term);
  return ({ project, organizationName }) =>
    [project?.name ?? '', organizationName].some((name) => fold(name).includes(wanted));
}

function choiceOf({ project, organizationName, current }: FoundProject) {
  const mark = current ? ' (current)' : '';
  return { value: project?.id ?? '', name: `${project?.name} — ${organizationName}${mark}` };
}
