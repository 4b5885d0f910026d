import { once } from 'node:events';
import { Command } from '@commander-js/extra-typings';
import type { Cli } from '../cli.ts';
import { filterOf } from '../event-filter.ts';
import { eventJson } from '../render/events.ts';
import { withFilter } from './event-options.ts';

export function eventsExport(cli: Cli) {
  const command = new Command('export')
    .description('Write a project’s events to stdout, oldest first, each as a line of JSON.')
    .argument('[project]', 'name, Organization/Name, or id; default: the current one');
  return withFilter(command)
    .option('--after <token>', 'continue after this token, which an earlier export printed', '')
    .action(async (given, { after, ...options }) => {
      const { api, find } = await cli.signedIn();
      const { stdout } = cli.terminal;
      const projectId = await find.idOf.project(given);
      const request = { projectId, filter: filterOf(options), pageToken: after };
      let token = after;
      try {
        for await (const { events, nextPageToken } of api.events.exportEvents(request)) {
          const lines = events.map(eventJson).join('');
          if (!stdout.write(lines)) await once(stdout, 'drain', { signal: cli.signal });
          token = nextPageToken || token;
        }
      } catch (error) {
        if (token !== '')
          cli.note(`The export broke off. To continue with the same filters: --after ${token}`);
        cli.signal.throwIfAborted();
        throw error;
      }
      if (token !== '') cli.note(`That is all for now. Later events: --after ${token}`);
    });
}
