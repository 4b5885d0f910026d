import { Command, Option } from '@commander-js/extra-typings';
import type { Event } from '@silo/protos/gen/silo/project/v1/event.ts';
import { QueryEventsResponse } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import type { Cli } from '../cli.ts';
import { filterOf } from '../event-filter.ts';
import { eventsBlocks } from '../render/events.ts';
import { columnsOf } from '../terminal.ts';
import { projectOf, withFilter } from './event-options.ts';
import { firstOf, parseCount } from './limit.ts';

// If no index helps, a page examines 5,000 events; so this covers half a million, at most about 100
// MiB.
const pagesMax = 100;

export function eventsQuery(cli: Cli) {
  const command = new Command('query')
    .description('Show a project’s events, newest first.')
    .argument('[project]', 'name, Organization/Name, or id; default: the current one');
  return withFilter(command)
    .addOption(
      new Option('--limit <count>', 'show at most this number').argParser(parseCount).default(50),
    )
    .action(async (given, { limit, ...options }) => {
      const { api } = await cli.signedIn();
      const projectId = await projectOf(cli, given);
      const filter = filterOf(options);
      const readPage = async (page: { pageSize: number; pageToken: string }) => {
        const answer = await api.events.queryEvents({ projectId, filter, ...page });
        return { things: answer.events, nextPageToken: answer.nextPageToken };
      };
      const { things, nextPageToken } = await firstOf<Event>(limit, readPage, pagesMax);
      const columns = columnsOf(cli.terminal.stdout);
      const isCutShort = nextPageToken !== '' && things.length < limit;
      const more = isCutShort
        ? 'Not all events were examined: --since and --until narrow the search.'
        : nextPageToken && 'There is more: --limit N, or --until TIME';
      const blocks = eventsBlocks(things, { columns, more });
      cli.answer(QueryEventsResponse, { events: things, nextPageToken }, blocks);
    });
}
