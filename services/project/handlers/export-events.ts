import type { Access } from '@silo/access/access.ts';
import { errors } from '@silo/errors/errors.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { ExportEventsRequest } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { type Call, targetProject } from '@silo/rpc/call.ts';
import { demand } from '@silo/rpc/check-access.ts';
import type { Encoded } from '@silo/rpc/encoded.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import { limit } from '@silo/runtime/limit.ts';
import { generationOf } from '../rules/events/deletions.ts';
import { checkFilter } from '../rules/events/filter.ts';
import { type EventQueries, placeOf } from '../store/event-queries.ts';
import { encodedEvents } from './shared/encoded-events.ts';
import {
  eventPageToken,
  eventPosition,
  filterText,
  pagedQuery,
  type ReadDeletions,
  retentionDaysOf,
  withinRetention,
} from './shared/event-read.ts';

const pageSize = 1_000;
/** Limit per process, so that exports leave MongoDB and memory to other calls. */
const pagesAtOnce = 4;
const waitingMax = 64;
const retryMs = 1_000;

/** Limits the exports of one process. */
export const createExporting = () => limit({ atOnce: pagesAtOnce, waitingMax });

type Dependencies = {
  queries: Pick<EventQueries, 'query'>;
  deletions: ReadDeletions;
  access: Access;
  exporting: ReturnType<typeof createExporting>;
  clock: Clock;
};

/** ExportEvents: each message is one page, which is read after the previous one was sent. */
export async function* exportEvents(
  { filter, pageToken }: ExportEventsRequest,
  call: Call,
  { queries, deletions, access, exporting, clock }: Dependencies,
): AsyncGenerator<Encoded> {
  const { id: projectId, fact } = targetProject(call);
  const checked = checkFilter(filter);
  const query = pagedQuery('ExportEvents', call, filterText(filter));
  let after = eventPosition(query, pageToken);
  let current = fact;
  for (let isOver = false; !isOver; ) {
    const readPage = async () => {
      const open = await deletions.open(projectId, generationOf(current), call.signal);
      const wanted = { deletions: open, after, size: pageSize, order: 'oldest' } as const;
      const kept = withinRetention(checked, current, clock);
      return await queries.query(projectId, kept, wanted, call.signal);
    };
    const { events, next } = await exporting(readPage).catch(refuseWaiting);
    // Check after the read: events that are deleted or expired by now are not sent.
    const needs = { scope: 'event:read', projectId, level: Level.LEVEL_MEMBER };
    const { project } = await demand(access, call, needs);
    const read = current;
    current = project?.fact ?? read;
    const isSame =
      generationOf(current) === generationOf(read) &&
      retentionDaysOf(current) === retentionDaysOf(read);
    if (!isSame) continue;
    const last = events.at(-1);
    after = next ?? (last && placeOf(last)) ?? after;
    isOver = next === undefined;
    yield encodedEvents(events, eventPageToken(query, after));
  }
}

function refuseWaiting(error: unknown): never {
  if (error instanceof RangeError) throw errors.rateLimited('exports', retryMs);
  throw error;
}
