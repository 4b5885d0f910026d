import type { Cli } from '../cli.ts';
import { group } from '../group.ts';
import { eventsCount } from './events-count.ts';
import { eventsDelete } from './events-delete.ts';
import { eventsExport } from './events-export.ts';
import { eventsQuery } from './events-query.ts';
import { eventsTail } from './events-tail.ts';

export function events(cli: Cli) {
  return group('events', 'The events that a project has captured.', [
    eventsQuery(cli),
    eventsTail(cli),
    eventsCount(cli),
    eventsExport(cli),
    eventsDelete(cli),
  ]);
}
