import { pageSizeOf } from '@silo/mongo/page-token.ts';
import type { QueryEventsRequest } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { type Call, targetProject } from '@silo/rpc/call.ts';
import type { Encoded } from '@silo/rpc/encoded.ts';
import type { Reading } from '@silo/rpc/reading.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import { checkFilter } from '../rules/events/filter.ts';
import type { EventQueries } from '../store/event-queries.ts';
import type { PropertyIndexStore } from '../store/property-indexes.ts';
import { encodedEvents } from './shared/encoded-events.ts';
import {
  eventPageToken,
  eventPosition,
  filterText,
  openDeletions,
  pagedQuery,
  type ReadDeletions,
  withinRetention,
} from './shared/event-read.ts';
import { withIndexes } from './shared/with-indexes.ts';

type Dependencies = {
  queries: Pick<EventQueries, 'query'>;
  deletions: ReadDeletions;
  indexes: Pick<PropertyIndexStore, 'ready'>;
  reading: Reading;
  clock: Clock;
};

export async function queryEvents(
  { filter, pageSize, pageToken }: QueryEventsRequest,
  call: Call,
  { queries, deletions, indexes, reading, clock }: Dependencies,
): Promise<Encoded> {
  const projectId = targetProject(call).id;
  const checked = withinRetention(checkFilter(filter), targetProject(call).fact, clock);
  const named = checked.conditions.map(({ name }) => name);
  const query = pagedQuery('QueryEvents', call, filterText(filter));
  const after = eventPosition(query, pageToken);
  const open = await openDeletions(deletions, call);
  const wanted = { deletions: open, after, size: pageSizeOf(pageSize) };
  const { events: found, next } = await reading(call, () =>
    withIndexes(call, named, indexes, (places) =>
      queries.query(projectId, { ...checked, places }, wanted, call.signal),
    ),
  );
  return encodedEvents(found, eventPageToken(query, next));
}
