import { errors } from '@silo/errors/errors.ts';
import { pageSizeOf } from '@silo/mongo/page-token.ts';
import {
  CountEventsRequest,
  type CountEventsResponse,
  CountGrouping,
  type EventCount,
} from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { type Call, targetProject } from '@silo/rpc/call.ts';
import type { Reading } from '@silo/rpc/reading.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import { type Grouping, type GroupKey, jsonOf } from '../rules/events/counting.ts';
import { checkFilter } from '../rules/events/filter.ts';
import type { EventCounts } from '../store/event-counts.ts';
import type { ProjectStore } from '../store/projects.ts';
import type { PropertyIndexStore } from '../store/property-indexes.ts';
import {
  eventPageToken,
  eventPosition,
  openDeletions,
  pagedQuery,
  type ReadDeletions,
  withinRetention,
} from './shared/event-read.ts';
import { withIndexes } from './shared/with-indexes.ts';

type Dependencies = {
  counts: EventCounts;
  deletions: ReadDeletions;
  projects: Pick<ProjectStore, 'get'>;
  indexes: Pick<PropertyIndexStore, 'ready'>;
  reading: Reading;
  clock: Clock;
};

export async function countEvents(
  request: CountEventsRequest,
  call: Call,
  { counts, deletions, projects, indexes, reading, clock }: Dependencies,
): Promise<CountEventsResponse> {
  const projectId = targetProject(call).id;
  const filter = withinRetention(checkFilter(request.filter), targetProject(call).fact, clock);
  const named = [request.property, ...filter.conditions.map(({ name }) => name)];
  checkProperty(request);
  const grouping = await groupingOf(request, call, projects);
  const timeZone = 'timeZone' in grouping ? grouping.timeZone : '';
  const query = pagedQuery('CountEvents', call, timeZone, textOf(request));
  const after = eventPosition(query, request.pageToken);
  const open = await openDeletions(deletions, call);
  const wanted = { grouping, deletions: open, after, size: pageSizeOf(request.pageSize) };
  const { groups, total, others, absent, next } = await reading(call, () =>
    withIndexes(call, named, indexes, (places) =>
      counts.count(projectId, { ...filter, places }, wanted, call.signal),
    ),
  );
  return {
    counts: groups.map(({ key, count }) => countMessage(grouping, key, count)),
    totalCount: total,
    othersCount: others,
    absentCount: absent,
    timeZone,
    nextPageToken: eventPageToken(query, next),
  };
}

function checkProperty({ grouping, property }: CountEventsRequest): void {
  const isNeeded = grouping === CountGrouping.COUNT_GROUPING_PROPERTY;
  if ((property !== '') === isNeeded) return;
  const description = `must ${isNeeded ? '' : 'not '}be set for this grouping`;
  throw errors.invalidField([{ field: 'property', description }]);
}

async function groupingOf(
  { grouping, property }: CountEventsRequest,
  call: Call,
  projects: Dependencies['projects'],
): Promise<Grouping> {
  switch (grouping) {
    case CountGrouping.COUNT_GROUPING_HOUR:
    case CountGrouping.COUNT_GROUPING_DAY: {
      const { id, fact } = targetProject(call);
      const project = await projects.get(fact.organizationId, id, call.signal);
      if (project === undefined) throw errors.projectNotFound(id);
      const by = grouping === CountGrouping.COUNT_GROUPING_DAY ? 'day' : 'hour';
      return { by, timeZone: project.settings.timeZone };
    }
    case CountGrouping.COUNT_GROUPING_NAME:
      return { by: 'name' };
    case CountGrouping.COUNT_GROUPING_PROPERTY:
      return { by: 'property', property };
    case CountGrouping.COUNT_GROUPING_UNSPECIFIED:
      return { by: 'total' };
  }
}

/** The canonical bytes of the request, to which a page token is bound. */
function textOf(request: CountEventsRequest): string {
  const counted = { ...request, pageSize: 0, pageToken: '' };
  return Buffer.from(CountEventsRequest.encode(counted).finish()).toString('base64');
}

function countMessage({ by }: Grouping, key: GroupKey, count: number): EventCount {
  return {
    startTime: key instanceof Date ? key : undefined,
    name: by === 'name' ? String(key) : '',
    value: by === 'property' && !(key instanceof Date) ? jsonOf(key) : '',
    count,
  };
}
