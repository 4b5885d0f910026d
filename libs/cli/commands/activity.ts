import { Command, InvalidArgumentError, Option } from '@commander-js/extra-typings';
import {
  type ActivityEntry,
  ListActivityResponse,
} from '@silo/protos/gen/silo/org/v1/activity_service.ts';
import type { Api } from '../api.ts';
import type { Cli } from '../cli.ts';
import { usage } from '../failure.ts';
import { activityBlocks } from '../render/activity.ts';

const pageSizeMax = 1_000;

export function activity(cli: Cli) {
  return new Command('activity')
    .description('Who did what, when, from what to what: newest first.')
    .option(
      '--org <organization>',
      'of an organization: name or id; default: that of the current project',
    )
    .option('--project <project>', 'of a project: name, Organization/Name, or id')
    .addOption(new Option('--limit <count>', 'how many at most').argParser(parseCount).default(50))
    .action(async ({ org, project, limit }) => {
      if (org !== undefined && project !== undefined)
        throw usage('Give --org or --project, not both.');
      const { api, find } = await cli.signedIn();
      const target =
        project === undefined
          ? { organizationId: (await find.organization(org)).id, projectId: '' }
          : { organizationId: '', projectId: (await find.project(project)).id };
      const answer = await listUpTo(api, target, limit);
      cli.answer(
        ListActivityResponse,
        answer,
        activityBlocks(answer.entries, answer.nextPageToken),
      );
    });
}

async function listUpTo(
  api: Api,
  target: { organizationId: string; projectId: string },
  limit: number,
): Promise<ListActivityResponse> {
  const entries: ActivityEntry[] = [];
  let nextPageToken = '';
  do {
    const pageSize = Math.min(limit - entries.length, pageSizeMax);
    const page = { ...target, pageSize, pageToken: nextPageToken };
    const answer = await api.activity.listActivity(page);
    entries.push(...answer.entries);
    nextPageToken = answer.nextPageToken;
  } while (nextPageToken !== '' && entries.length < limit);
  return { entries, nextPageToken };
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1)
    throw new InvalidArgumentError('Give a number from 1.');
  return count;
}
