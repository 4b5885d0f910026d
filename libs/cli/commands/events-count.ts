import { Command } from '@commander-js/extra-typings';
import type { EventFilter } from '@silo/protos/gen/silo/project/v1/event.ts';
import { CountEventsResponse } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import type { Api } from '../api.ts';
import type { Cli } from '../cli.ts';
import { filterOf } from '../event-filter.ts';
import { countBlocks } from '../render/counts.ts';
import { columnsOf } from '../terminal.ts';
import { CountSum, type Grouping, groupingOf } from './count-sum.ts';
import { projectOf, withFilter } from './event-options.ts';

// A page covers 5,000 to 50,000 events, so this covers 5 to 50 million.
const pagesMax = 1_000;

export function eventsCount(cli: Cli) {
  const command = new Command('count')
    .description('Count a project’s events.')
    .argument('[project]', 'name, Organization/Name, or id; default: the current one');
  return withFilter(command)
    .option(
      '--by <what>',
      'hour, day, name, or the name of a property; property:NAME for a property called hour, day or name',
      'day',
    )
    .action(async (given, { by, ...options }) => {
      const { api } = await cli.signedIn();
      const projectId = await projectOf(cli, given);
      const grouping = groupingOf(by);
      const sum = await countAll(api, { projectId, filter: filterOf(options), ...grouping });
      const columns = columnsOf(cli.terminal.stdout);
      cli.answer(CountEventsResponse, sum, countBlocks(sum, { ...grouping, columns }));
    });
}

type Wanted = Grouping & { projectId: string; filter: EventFilter };

/** Adds up all pages; a next page remains only if there are too many. */
export async function countAll(api: Api, wanted: Wanted): Promise<CountEventsResponse> {
  const sum = new CountSum();
  let pageToken = '';
  for (let pages = 0; pages < pagesMax; pages++) {
    const page = await api.events.countEvents({ ...wanted, pageSize: 1_000, pageToken });
    sum.add(page);
    pageToken = page.nextPageToken;
    if (pageToken === '') break;
  }
  return sum.result();
}
