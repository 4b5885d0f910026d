import { Event } from '@silo/protos/gen/silo/project/v1/event.ts';
import type { EventDeletion } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { toJson } from '@silo/protos/json.ts';
import { wordsOf } from '../event-filter.ts';
import type { NameOf } from '../names.ts';
import type { Block } from '../text.ts';
import { cut } from '../text.ts';
import { propertiesText } from './properties.ts';
import { countText, facts, timeText } from './values.ts';

const nameWidth = 30;
const distinctIdWidth = 36;
const propertiesMin = 20;

/** Events as a table of this width. */
export function eventsBlocks(
  events: readonly Event[],
  { columns, more }: { columns: number; more: string },
): Block[] {
  const tail: Block[] = more === '' ? [] : [{ text: more, style: 'dim' }];
  if (events.length === 0) return ['No event was found.', ...tail];
  const cells = events.map(cellsOf);
  const width = [0, 1, 2].reduce(
    (sum, column) => sum + 2 + Math.max(10, ...cells.map((row) => row[column]?.length ?? 0)),
    0,
  );
  const rest = Math.max(columns - width, propertiesMin);
  const rows = cells.map(([time, name, distinctId, properties]) => [
    ...[time, name, distinctId],
    cut(properties, rest),
  ]);
  return [{ head: ['time (UTC)', 'name', 'distinct id', 'properties'], rows }, ...tail];
}

/** An event as one line of this width. */
export function eventBlock(event: Event, columns: number): Block {
  const [time, ...rest] = cellsOf(event);
  return [{ text: time, style: 'dim' }, cut(`  ${rest.join('  ')}`, columns - time.length)];
}

function cellsOf(event: Event): [time: string, name: string, id: string, properties: string] {
  return [
    momentText(event.timestamp),
    cut(event.name, nameWidth),
    cut(event.distinctId, distinctIdWidth),
    propertiesText(event.properties),
  ];
}

function momentText(timestamp: string): string {
  const time = new Date(timestamp);
  if (Number.isNaN(time.getTime())) return timestamp;
  return time.toISOString().slice(0, 23).replace('T', ' ');
}

/** An event as a line of proto3 JSON: its properties are the text that was sent. */
export function eventJson(event: Event): string {
  return `${JSON.stringify(toJson(Event, event))}\n`;
}

/** The receipt of a deletion. */
export function deletionBlocks(deletion: EventDeletion, nameOf: NameOf): Block[] {
  return [
    [
      { text: 'Deleted', style: 'good', id: deletion.id },
      '. They are now being removed from the database.',
    ],
    ...facts(
      ['project', nameOf(deletion.projectId)],
      ['filter', deletion.filter && (wordsOf(deletion.filter).join(' ') || 'all events')],
      ['by', nameOf(deletion.actorAccountId)],
      ['requested', timeText(deletion.createTime)],
      ['removed', `${countText(deletion.removedCount ?? 0)} so far`],
    ),
  ];
}
