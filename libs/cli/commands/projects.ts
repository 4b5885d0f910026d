import { Command } from '@commander-js/extra-typings';
import { SearchProjectsResponse } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { everyPage } from '../api.ts';
import type { Cli } from '../cli.ts';
import { foundBlocks } from '../render/projects.ts';

export function projects(cli: Cli) {
  return new Command('projects')
    .description('List your projects in all your organizations, the current one marked.')
    .argument('[query]', 'part of a project’s or organization’s name')
    .action(async (query = '') => {
      const { api } = await cli.signedIn();
      const pages = await everyPage((page) => api.projects.searchProjects({ query, ...page }));
      const results = pages.flatMap((page) => page.results);
      cli.answer(SearchProjectsResponse, { results, nextPageToken: '' }, foundBlocks(results));
    });
}
