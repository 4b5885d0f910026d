/** The common parts of QueryEvents, CountEvents and ExportEvents. */
import { decodePageToken, encodePageToken } from '@silo/mongo/page-token.ts';
import type { ProjectFact } from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import { EventFilter } from '@silo/protos/gen/silo/project/v1/event.ts';
import { type Call, keyCaller, targetProject } from '@silo/rpc/call.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import { type Deletion, generationOf } from '../../rules/events/deletions.ts';
import type { CheckedFilter } from '../../rules/events/filter.ts';
import { keptSince, since } from '../../rules/events/retention.ts';
import { canonicalUuid } from '../../rules/events/uuid.ts';
import type { EventDeletionStore } from '../../store/event-deletions.ts';
import type { EventPosition } from '../../store/event-queries.ts';

/** Reads the deletions that still remove events. */
export type ReadDeletions = Pick<EventDeletionStore, 'open'>;

/** The filter without events that exceed the project's retention. */
export function withinRetention(
  filter: CheckedFilter,
  project: ProjectFact,
  clock: Clock,
): CheckedFilter {
  return since(filter, keptSince(retentionDaysOf(project), clock.now()));
}

/** Number of days for which a project keeps events; 0 if it keeps all. */
export function retentionDaysOf({ capture }: ProjectFact): number {
  return capture?.retentionDays ?? 0;
}

/**
 * The deletions that a read of the target project's events must consider. The project's fact counts
 * them: a read that starts after DeleteEvents has returned does not use an older fact.
 */
export async function openDeletions(deletions: ReadDeletions, call: Call): Promise<Deletion[]> {
  const { id, fact } = targetProject(call);
  return await deletions.open(id, generationOf(fact), call.signal);
}

/** The query to which a page token of events belongs: the method, project, account and `texts`. */
export function pagedQuery(method: string, call: Call, ...texts: string[]): string[] {
  return [method, targetProject(call).id, keyCaller(call).key.accountId, ...texts];
}

/** The canonical bytes of a filter, as text. */
export function filterText(filter = EventFilter.fromPartial({})): string {
  return Buffer.from(EventFilter.encode(filter).finish()).toString('base64');
}

/** The position in a page token of events. Refuses with INVALID_FIELD `page_token`. */
export function eventPosition(query: unknown, token: string): EventPosition | undefined {
  const key = decodePageToken(query, token, [epochMsPart, uuidPart]);
  return key && { time: key[0], uuid: key[1] };
}

/** The token of a page that begins after the position; empty if there is none. */
export function eventPageToken(query: unknown, after: EventPosition | undefined): string {
  return after ? encodePageToken(query, [String(after.time.getTime()), after.uuid]) : '';
}

function epochMsPart(value: unknown): Date | undefined {
  const isTime = typeof value === 'string' && /^-?\d{1,15}$/.test(value);
  return isTime ? new Date(Number(value)) : undefined;
}

function uuidPart(value: unknown): string | undefined {
  return typeof value === 'string' ? canonicalUuid(value) : undefined;
}
