import { Command } from '@commander-js/extra-typings';
import { ProjectSettings } from '@silo/protos/gen/silo/project/v1/project.ts';
import {
  CreateProjectResponse,
  CreateRecommendedProjectsResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { textOf } from '../checks.ts';
import type { Cli } from '../cli.ts';
import { present } from '../find.ts';
import { createdBlocks, recommendedBlocks } from '../render/projects.ts';
import { parseDays } from './project-settings.ts';

export function projectCreate(cli: Cli) {
  return new Command('create')
    .description('Create a project, and show its token.')
    .argument('[name]', 'name, 1-200 characters; prompted for if not given')
    .option('--org <organization>', 'name or id; default: that of the current project')
    .option('--time-zone <zone>', 'time zone of its reports, such as Europe/Berlin')
    .option('--app-url <url...>', 'origins that send data, such as https://app.example.com')
    .option('--anonymize-ips', 'remove the address that an event came from')
    .option('--retention-days <days>', 'remove events that are older; 0: keep all', parseDays)
    .option(
      '--index <property...>',
      'properties that are indexed, so that events are found fast; at most 6',
    )
    .action(async (given, { org, timeZone, appUrl, anonymizeIps, retentionDays, index }) => {
      const { api, find } = await cli.signedIn();
      const name =
        given ?? (await cli.prompt.text('Name:', 'give a name.', { check: textOf(200) }));
      const organizationId = await find.idOf.organization(org);
      const settings = ProjectSettings.fromPartial({
        ...(timeZone !== undefined && { timeZone }),
        ...(appUrl && { appUrls: appUrl }),
        ...(anonymizeIps && { anonymizeIps }),
        ...(retentionDays !== undefined && { retentionDays }),
        ...(index && { indexedProperties: index }),
      });
      const request = { organizationId, name, settings, requestId: '' };
      const answer = await api.projects.createProject(request);
      const blocks = createdBlocks(present(answer.project), answer.projectToken);
      cli.answer(CreateProjectResponse, answer, blocks);
    });
}

export function projectCreateRecommended(cli: Cli) {
  return new Command('create-recommended')
    .description('Create whichever of Local Development, Staging and Production are missing.')
    .option('--org <organization>', 'name or id; default: that of the current project')
    .action(async ({ org }) => {
      const { api, find } = await cli.signedIn();
      const organizationId = await find.idOf.organization(org);
      const request = { organizationId, requestId: '' };
      const answer = await api.projects.createRecommendedProjects(request);
      cli.answer(CreateRecommendedProjectsResponse, answer, recommendedBlocks(answer));
    });
}
