import { errors } from '@silo/errors/errors.ts';
import { encodePageToken, pageSizeOf } from '@silo/mongo/page-token.ts';
import { EventFilter } from '@silo/protos/gen/silo/project/v1/event.ts';
import type {
  QueryEventsRequest,
  QueryEventsResponse,
} from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { type Call, keyCaller, targetProject } from '@silo/rpc/call.ts';
import { checkFilter } from '../rules/events/filter.ts';
import { canonicalUuid } from '../rules/events/uuid.ts';
import type { EventPosition, EventQueries } from '../store/event-queries.ts';
import { positionOf } from './shared/page-position.ts';

export async function queryEvents(
  { filter, pageSize, pageToken }: QueryEventsRequest,
  call: Call,
  { queries }: { queries: Pick<EventQueries, 'query'> },
): Promise<QueryEventsResponse> {
  const projectId = targetProject(call).id;
  const checked = checkFilter(filter);
  const query = ['QueryEvents', projectId, keyCaller(call).key.accountId, textOf(filter)];
  const after = eventPosition(positionOf(query, pageToken, 2));
  const wanted = { after, size: pageSizeOf(pageSize) };
  const { events: found, next } = await queries.query(projectId, checked, wanted, call.signal);
  return {
    events: found.map(({ time: _, ...event }) => event),
    nextPageToken: next ? encodePageToken(query, [String(next.time.getTime()), next.uuid]) : '',
  };
}

/** The filter as its canonical bytes are: what a page token is bound to. */
function textOf(filter: EventFilter | undefined): string {
  return Buffer.from(EventFilter.encode(filter ?? EventFilter.fromPartial({})).finish()).toString(
    'base64',
  );
}

/** A page token is not signed: refuses one whose place cannot be one of ours. */
function eventPosition(position: string[] | undefined): EventPosition | undefined {
  if (position === undefined) return undefined;
  const [time = '', id = ''] = position;
  const uuid = canonicalUuid(id);
  if (uuid !== undefined && /^-?\d{1,15}$/.test(time)) {
    return { time: new Date(Number(time)), uuid };
  }
  throw errors.invalidField([{ field: 'page_token', description: 'is not one of ours' }]);
}
