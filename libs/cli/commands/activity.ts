import { Command, Option } from '@commander-js/extra-typings';
import {
  type ActivityEntry,
  ListActivityResponse,
} from '@silo/protos/gen/silo/org/v1/activity_service.ts';
import type { Cli } from '../cli.ts';
import { activityBlocks } from '../render/activity.ts';
import { firstOf, parseCount } from './limit.ts';

export function activity(cli: Cli) {
  return new Command('activity')
    .description('The activity log: actor, action, time and changes, newest first.')
    .option('--org <organization>', 'name or id; default: that of the current project')
    .option('--project <project>', 'of a project: name, Organization/Name, or id')
    .addOption(new Option('--limit <count>', 'how many at most').argParser(parseCount).default(50))
    .action(async ({ org, project, limit }) => {
      const { api, find } = await cli.signedIn();
      const target = await find.target({ org, project });
      const { things, nextPageToken } = await firstOf<ActivityEntry>(limit, async (page) => {
        const answer = await api.activity.listActivity({ ...target, ...page });
        return { things: answer.entries, nextPageToken: answer.nextPageToken };
      });
      const blocks = activityBlocks(things, nextPageToken);
      cli.answer(ListActivityResponse, { entries: things, nextPageToken }, blocks);
    });
}
