import { Command } from '@commander-js/extra-typings';
import {
  ListProjectsResponse,
  SearchProjectsResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { fold } from '@silo/runtime/fold.ts';
import { everyPage } from '../api.ts';
import type { Cli } from '../cli.ts';
import { isFoundBy, migratedAway } from '../migrated-projects.ts';
import { deletedProjectsBlocks, foundBlocks } from '../render/projects.ts';

export function projects(cli: Cli) {
  return new Command('projects')
    .description('List your projects in all your organizations; the current one is marked.')
    .argument('[query]', 'part of a project’s or organization’s name')
    .option(
      '--deleted',
      'list deleted projects that can still be undeleted, in organizations where you are an admin',
    )
    .action(async (query = '', { deleted }) => {
      const { api, find, profile } = await cli.signedIn();
      if (deleted) {
        const found = (await find.deletedProjects()).filter(({ project, organizationName }) =>
          [project.name, organizationName].some((name) => fold(name).includes(fold(query))),
        );
        const answer = { projects: found.map(({ project }) => project), nextPageToken: '' };
        cli.answer(ListProjectsResponse, answer, deletedProjectsBlocks(found));
        return;
      }
      const [pages, away] = await Promise.all([
        everyPage((page) => api.projects.searchProjects({ query, ...page })),
        cli.globals().json ? [] : migratedAway(api, profile.region),
      ]);
      const results = pages.flatMap((page) => page.results);
      cli.answer(SearchProjectsResponse, { results, nextPageToken: '' }, [
        ...foundBlocks(results, { query, away: away.filter(isFoundBy(query)) }),
      ]);
    });
}
