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
  withinRetention,
} from './shared/event-read.ts';

const pageSize = 1_000;
/** Of one process, so that exports leave MongoDB and memory to others. */
const pagesAtOnce = 4;
const waitingMax = 64;
const retryMs = 1_000;

/** The turns of the exports of one process. */
export const createExporting = () => limit({ atOnce: pagesAtOnce, waitingMax });

type Uses = {
  queries: Pick<EventQueries, 'query'>;
  deletions: ReadDeletions;
  access: Access;
  exporting: ReturnType<typeof createExporting>;
  clock: Clock;
};

/** A message is a page of its own, which is read when the one before it has left. */
export async function* exportEvents(
  { filter, pageToken }: ExportEventsRequest,
  call: Call,
  { queries, deletions, access, exporting, clock }: Uses,
): AsyncGenerator<Encoded> {
  const { id: projectId, fact } = targetProject(call);
  const checked = checkFilter(filter);
  const query = pagedQuery('ExportEvents', call, filterText(filter));
  let after = eventPosition(query, pageToken);
  let generation = generationOf(fact);
  for (let isOver = false; !isOver; ) {
    const read = async () => {
      const open = await deletions.open(projectId, generation, call.signal);
      const wanted = { deletions: open, after, size: pageSize, order: 'oldest' } as const;
      const kept = withinRetention(checked, call, clock);
      return await queries.query(projectId, kept, wanted, call.signal);
    };
    const { events, next } = await exporting(read).catch(refuseWaiting);
    // After the read: what has been taken away or deleted by now is not sent.
    const needs = { scope: 'event:read', projectId, level: Level.LEVEL_MEMBER };
    const { project } = await demand(access, call, needs);
    const current = project === undefined ? generation : generationOf(project.fact);
    if (current !== generation) {
      generation = current;
      continue;
    }
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
