import { Command } from '@commander-js/extra-typings';
import type { Cli } from '../cli.ts';
import { eventsCount } from './events-count.ts';
import { eventsDelete } from './events-delete.ts';
import { eventsExport } from './events-export.ts';
import { eventsQuery } from './events-query.ts';
import { eventsTail } from './events-tail.ts';

export function events(cli: Cli) {
  return new Command('events')
    .description('The events that a project has captured.')
    .addCommand(eventsQuery(cli))
    .addCommand(eventsTail(cli))
    .addCommand(eventsCount(cli))
    .addCommand(eventsExport(cli))
    .addCommand(eventsDelete(cli));
}
