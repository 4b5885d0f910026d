import { errors } from '@silo/errors/errors.ts';
import { canonicalUuid } from '../../rules/events/uuid.ts';
import type { EventPosition } from '../../store/event-queries.ts';

/** What a page token says of a place. */
export function positionTexts({ time, uuid }: EventPosition): [string, string] {
  return [String(time.getTime()), uuid];
}

/** A page token is not signed: refuses one whose place cannot be one of ours. */
export function eventPosition(position: string[] | undefined): EventPosition | undefined {
  if (position === undefined) return undefined;
  const [time = '', id = ''] = position;
  const uuid = canonicalUuid(id);
  if (uuid !== undefined && /^-?\d{1,15}$/.test(time)) {
    return { time: new Date(Number(time)), uuid };
  }
  throw errors.invalidField([{ field: 'page_token', description: 'is not one of ours' }]);
}
