import { Command } from '@commander-js/extra-typings';
import type { EventFilter } from '@silo/protos/gen/silo/project/v1/event.ts';
import {
  CountGrouping,
  DeleteEventsResponse,
} from '@silo/protos/gen/silo/project/v1/event_service.ts';
import type { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { Cli } from '../cli.ts';
import { filterOf, meansAll, wordsOf } from '../event-filter.ts';
import { Failure, usage } from '../failure.ts';
import { present } from '../find.ts';
import { named } from '../names.ts';
import { deletionBlocks } from '../render/events.ts';
import { propagationBlocks } from '../render/propagation.ts';
import { countText } from '../render/values.ts';
import { withFilter } from './event-options.ts';
import { countAll } from './events-count.ts';

export function eventsDelete(cli: Cli) {
  const command = new Command('delete')
    .description('Delete a project’s events for ever.')
    .argument('[project]', 'name, Organization/Name, or id; default: the current one');
  return withFilter(command)
    .option('--all', 'all of its events, instead of a filter')
    .option('--yes', 'do not prompt for the project’s name')
    .action(async (given, { all = false, yes, ...options }) => {
      const filter = filterOf(options);
      if (meansAll(filter) !== all) {
        throw usage(
          'Say which events to delete.',
          'give a filter such as --name or --until, or --all alone',
        );
      }
      const { api, find, lookUp } = await cli.signedIn();
      const projectId = yes
        ? await find.idOf.project(given)
        : await agree(cli, await find.project(given), filter);
      const words = all ? ['--all'] : wordsOf(filter);
      cli.repeatedBy('events', 'delete', projectId, ...words, '--yes');
      const answer = await api.events.deleteEvents({ projectId, filter, requestId: '' });
      const deletion = present(answer.deletion);
      const nameOf = await lookUp([deletion.projectId, deletion.actorAccountId]);
      cli.answer(DeleteEventsResponse, answer, [
        ...deletionBlocks(deletion, nameOf),
        ...propagationBlocks(answer.propagation, 'Nobody can read them any more'),
      ]);
    });
}

/** Counts what will be deleted, prompts for confirmation, and returns the project. */
async function agree(cli: Cli, project: Project, filter: EventFilter): Promise<string> {
  const { api } = await cli.signedIn();
  const grouping = { grouping: CountGrouping.COUNT_GROUPING_UNSPECIFIED, property: '' };
  const { totalCount = 0, nextPageToken } = await countAll(api, {
    projectId: project.id,
    filter,
    ...grouping,
  });
  if (totalCount === 0 && nextPageToken === '') {
    throw new Failure('refused', `There is no such event in ${project.name}.`);
  }
  const what = `${nextPageToken === '' ? '' : 'More than '}${countText(totalCount)}`;
  const which = meansAll(filter) ? ', which is all of them,' : '';
  cli.note([`${what} of `, named(project), `${which} will be deleted for ever.`]);
  await cli.prompt.confirmByTyping('the project’s name', project.name);
  return project.id;
}
