import { Command, InvalidArgumentError } from '@commander-js/extra-typings';
import { Project, ProjectSettings } from '@silo/protos/gen/silo/project/v1/project.ts';
import {
  GetProjectResponse,
  UpdateProjectResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { Cli } from '../cli.ts';
import { present } from '../find.ts';
import { projectBlocks } from '../render/projects.ts';

export function projectSettings(cli: Cli) {
  return new Command('settings')
    .description('Show a project’s settings, or change those that are given.')
    .argument('[project]', 'name, Organization/Name, or id; default: the current one')
    .option('--time-zone <zone>', 'time zone of its reports, such as Europe/Berlin')
    .option('--app-url <url...>', 'origins that send data, such as https://app.example.com')
    .option('--no-app-url', 'no origins')
    .option('--anonymize-ips', 'remove the address that an event came from')
    .option('--no-anonymize-ips', 'keep it')
    .option('--retention-days <days>', 'remove events that are older; 0: keep all', parseDays)
    .option(
      '--index <property...>',
      'properties that are indexed, so that events are found fast; at most 6',
    )
    .option('--no-index', 'remove all indexes but those that always exist')
    .action(async (given, options) => {
      const { api, find, lookUp } = await cli.signedIn();
      const project = await find.project(given);
      const nameOf = await lookUp([project.organizationId]);
      const { settings, updateMask } = changesOf(options);
      if (updateMask.length === 0) {
        cli.answer(GetProjectResponse, { project }, projectBlocks(project, nameOf));
        return;
      }
      const answer = await api.projects.updateProject({
        project: Project.fromPartial({ id: project.id, settings, etag: project.etag }),
        updateMask,
        requestId: '',
      });
      const blocks = projectBlocks(present(answer.project), nameOf);
      cli.answer(UpdateProjectResponse, answer, blocks);
    });
}

/** Parses the number of days for which events are kept. */
export function parseDays(text: string): number {
  const days = text.trim() === '' ? Number.NaN : Number(text);
  if (!Number.isInteger(days) || days < 0) {
    throw new InvalidArgumentError('Give a number of days, or 0.');
  }
  return days;
}

type Options = {
  timeZone?: string | undefined;
  appUrl?: string[] | boolean | undefined;
  anonymizeIps?: boolean | undefined;
  retentionDays?: number | undefined;
  index?: string[] | boolean | undefined;
};

function changesOf({ timeZone, appUrl, anonymizeIps, retentionDays, index }: Options) {
  const urls = appUrl === false ? [] : appUrl;
  const indexed = index === false ? [] : index;
  const settings = ProjectSettings.fromPartial({
    ...(timeZone !== undefined && { timeZone }),
    ...(Array.isArray(urls) && { appUrls: urls }),
    ...(anonymizeIps !== undefined && { anonymizeIps }),
    ...(retentionDays !== undefined && { retentionDays }),
    ...(Array.isArray(indexed) && { indexedProperties: indexed }),
  });
  const updateMask = [
    ...(timeZone === undefined ? [] : ['settings.time_zone']),
    ...(Array.isArray(urls) ? ['settings.app_urls'] : []),
    ...(anonymizeIps === undefined ? [] : ['settings.anonymize_ips']),
    ...(retentionDays === undefined ? [] : ['settings.retention_days']),
    ...(Array.isArray(indexed) ? ['settings.indexed_properties'] : []),
  ];
  return { settings, updateMask };
}
