import { Command, Option } from '@commander-js/extra-typings';
import type { Event, EventFilter } from '@silo/protos/gen/silo/project/v1/event.ts';
import { systemSleep } from '@silo/runtime/clock.ts';
import type { Cli } from '../cli.ts';
import { filterOf } from '../event-filter.ts';
import { eventBlock, eventJson } from '../render/events.ts';
import { columnsOf, showsColour } from '../terminal.ts';
import { toText } from '../text.ts';
import { projectOf, withFilter } from './event-options.ts';
import { firstOf, parseCount } from './limit.ts';
import { Unseen } from './unseen.ts';

const everyMs = 1_000;
// At most this number of events is shown each second.
const newMax = 5_000;
const pagesMax = 5;

export function eventsTail(cli: Cli) {
  const command = new Command('tail')
    .description('Show the newest events, then new ones until Ctrl-C.')
    .argument('[project]', 'name, Organization/Name, or id; default: the current one');
  return withFilter(command)
    .addOption(
      new Option('--limit <count>', 'how many events to show first')
        .argParser(parseCount)
        .default(10),
    )
    .action(async (given, { limit, ...options }) => {
      const { api } = await cli.signedIn();
      const projectId = await projectOf(cli, given);
      const asked = filterOf(options);
      const read = async (count: number, filter: EventFilter) =>
        firstOf<Event>(
          count,
          async (page) => {
            const answer = await api.events.queryEvents({ projectId, filter, ...page });
            return { things: answer.events, nextPageToken: answer.nextPageToken };
          },
          pagesMax,
        );
      const unseen = new Unseen();
      show(cli, unseen.of((await read(Math.min(limit, newMax), asked)).things));
      for (;;) {
        await systemSleep(everyMs, cli.signal);
        const { things, nextPageToken } = await read(newMax, unseen.narrow(asked));
        show(cli, unseen.of(things));
        if (nextPageToken !== '' && things.length >= newMax) cli.note('Some events are left out.');
      }
    });
}

/** Shows events oldest first, one a line. */
function show(cli: Cli, events: readonly Event[]): void {
  const { stdout, environment } = cli.terminal;
  const { json } = cli.globals();
  const columns = columnsOf(stdout);
  const colour = showsColour(stdout, environment);
  for (const event of events) {
    stdout.write(json ? eventJson(event) : toText([eventBlock(event, columns)], { colour }));
  }
}
