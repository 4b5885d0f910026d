import { Command, Option } from '@commander-js/extra-typings';
import { ListActivityResponse } from '@silo/protos/gen/silo/org/v1/activity_service.ts';
import type { Cli } from '../cli.ts';
import { activityBlocks } from '../render/activity.ts';
import { parseTime } from '../times.ts';
import { followActivity } from './activity-follow.ts';
import { actorOf, namesIn, readActivity } from './activity-log.ts';
import { parseCount } from './limit.ts';

export function activity(cli: Cli) {
  return new Command('activity')
    .description('The activity log: actor, action, time and changes, newest first.')
    .option('--org <organization>', 'name or id; default: that of the current project')
    .option('--project <project>', 'only of this project: name, Organization/Name, or id')
    .option('--since <when>', 'from 2027-01-31T12:00Z on, or from 1h, 7d ago on', (text: string) =>
      parseTime(text, new Date()),
    )
    .option(
      '--by <member>',
      'only by this member: e-mail or account id; or silo, for its own changes',
    )
    .addOption(
      new Option('--limit <count>', 'show at most this number').argParser(parseCount).default(50),
    )
    .option('--follow', 'then show new entries until Ctrl-C')
    .action(async ({ org, project, limit, since, by, follow }) => {
      const { find } = await cli.signedIn();
      const target = await find.target({ org, project });
      const actor = by === undefined ? undefined : await actorOf(cli, target, by);
      const log = { target, since, actor };
      if (follow) return await followActivity(cli, log, limit);
      const { entries, nextPageToken, more } = await readActivity(cli, log, limit);
      const blocks = activityBlocks(entries, { nameOf: await namesIn(cli, log, entries), more });
      cli.answer(ListActivityResponse, { entries, nextPageToken }, blocks);
    });
}
