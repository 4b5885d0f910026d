import { Command, InvalidArgumentError } from '@commander-js/extra-typings';
import { GetUsageResponse } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { everyPage } from '../api.ts';
import type { Cli } from '../cli.ts';
import { namesOfEver } from '../departed-projects.ts';
import { usageBlocks } from '../render/usage.ts';
import { firstDayOf } from '../times.ts';

export function usage(cli: Cli) {
  return new Command('usage')
    .description('Show captured events and bytes, by day (UTC) and project.')
    .argument('[project]', 'name, Organization/Name, or id; default: all of the organization')
    .option('--org <organization>', 'name or id; default: that of the current project')
    .option('--days <days>', 'number of days up to today, at most 366; default: 30', parseDays)
    .action(async (project, { org, days }) => {
      const { api, find, lookUp } = await cli.signedIn();
      const target = await find.target({ org, project });
      if (org === undefined && project === undefined && !cli.globals().json) {
        cli.note([
          'Usage of ',
          (await lookUp([target.organizationId]))(target.organizationId),
          ':',
        ]);
      }
      const range = { firstDay: firstDayOf(days, new Date()), lastDay: '' };
      const pages = await everyPage((page) =>
        api.events.getUsage({ ...target, ...range, ...page }),
      );
      const all = pages.flatMap((page) => page.days);
      const ids = [...new Set(all.map(({ projectId }) => projectId))];
      const nameOf = await namesOfEver(cli, all[0]?.organizationId ?? '', ids);
      const answer = { days: all, nextPageToken: '' };
      cli.answer(GetUsageResponse, answer, usageBlocks(all, nameOf));
    });
}

function parseDays(text: string): number {
  const days = Number(text);
  if (!Number.isInteger(days) || days < 1 || days > 366) {
    throw new InvalidArgumentError('Give a number from 1 to 366.');
  }
  return days;
}
