import { encodePageToken, pageSizeOf } from '@silo/mongo/page-token.ts';
import { EventFilter } from '@silo/protos/gen/silo/project/v1/event.ts';
import type {
  QueryEventsRequest,
  QueryEventsResponse,
} from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { type Call, keyCaller, targetProject } from '@silo/rpc/call.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import { checkFilter } from '../rules/events/filter.ts';
import type { EventQueries } from '../store/event-queries.ts';
import { eventPosition, positionTexts } from './shared/event-position.ts';
import { positionOf } from './shared/page-position.ts';
import { withinRetention } from './shared/within-retention.ts';

export async function queryEvents(
  { filter, pageSize, pageToken }: QueryEventsRequest,
  call: Call,
  { queries, clock }: { queries: Pick<EventQueries, 'query'>; clock: Clock },
): Promise<QueryEventsResponse> {
  const projectId = targetProject(call).id;
  const checked = withinRetention(checkFilter(filter), call, clock);
  const query = ['QueryEvents', projectId, keyCaller(call).key.accountId, textOf(filter)];
  const after = eventPosition(positionOf(query, pageToken, 2));
  const wanted = { after, size: pageSizeOf(pageSize) };
  const { events: found, next } = await queries.query(projectId, checked, wanted, call.signal);
  return {
    events: found.map(({ time: _, ...event }) => event),
    nextPageToken: next ? encodePageToken(query, positionTexts(next)) : '',
  };
}

/** The filter as its canonical bytes are: what a page token is bound to. */
function textOf(filter: EventFilter | undefined): string {
  return Buffer.from(EventFilter.encode(filter ?? EventFilter.fromPartial({})).finish()).toString(
    'base64',
  );
}
