import type { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { Cli } from './cli.ts';

const shownMax = 50;

/** The project switcher: your projects by name, the current one marked and under the cursor. */
export async function chooseProject(cli: Cli, message: string): Promise<Project> {
  const { api, find } = await cli.signedIn();
  const current = (await find.account()).currentProjectId;
  const found = new Map<string, Project>();
  const id = await cli.ask.choose(
    message,
    async (query) => {
      const page = { query, pageSize: shownMax, pageToken: '' };
      const { results } = await api.projects.searchProjects(page);
      return results.flatMap(({ project, organizationName, current: isCurrent }) => {
        if (project === undefined) return [];
        found.set(project.id, project);
        const mark = isCurrent ? ' (current)' : '';
        return [{ value: project.id, name: `${project.name} — ${organizationName}${mark}` }];
      });
    },
    { initial: current || undefined, instead: 'name the project.' },
  );
  return found.get(id) ?? find.project(id);
}
