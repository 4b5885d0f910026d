import { decodePageToken } from '@silo/mongo/page-token.ts';
import { canonicalUuid } from '../../rules/events/uuid.ts';
import type { EventPosition } from '../../store/event-queries.ts';

/** What a page token says of a place. */
export function positionTexts({ time, uuid }: EventPosition): [string, string] {
  return [String(time.getTime()), uuid];
}

/** The position in a page token of events. Refuses with INVALID_FIELD `page_token`. */
export function eventPosition(query: unknown, token: string): EventPosition | undefined {
  const key = decodePageToken(query, token, [epochMsPart, uuidPart]);
  return key && { time: key[0], uuid: key[1] };
}

function epochMsPart(value: unknown): Date | undefined {
  const isTime = typeof value === 'string' && /^-?\d{1,15}$/.test(value);
  return isTime ? new Date(Number(value)) : undefined;
}

function uuidPart(value: unknown): string | undefined {
  return typeof value === 'string' ? canonicalUuid(value) : undefined;
}
