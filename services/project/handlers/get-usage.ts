import { decodePageToken, nextPageToken, pageSizeOf, textPart } from '@silo/mongo/page-token.ts';
import type {
  GetUsageRequest,
  GetUsageResponse,
} from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { type Call, keyCaller, targetOrganization } from '@silo/rpc/call.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import { daysOf, dayText, readDay } from '../rules/usage.ts';
import type { UsageStore } from '../store/usage.ts';

/**
 * GetUsage: the usage of an organization, or of one of its present projects while it owned that
 * project.
 */
export async function getUsage(
  { projectId, firstDay, lastDay, pageSize, pageToken }: GetUsageRequest,
  call: Call,
  { usage, clock }: { usage: Pick<UsageStore, 'list'>; clock: Clock },
): Promise<GetUsageResponse> {
  const organizationId = targetOrganization(call).id;
  const days = daysOf({ firstDay, lastDay }, clock.now());
  const { accountId } = keyCaller(call).key;
  const range = [dayText(days.first), dayText(days.last)];
  const query = ['GetUsage', accountId, organizationId, projectId, ...range];
  const key = decodePageToken(query, pageToken, [readDay, textPart]);
  const after = key && { day: key[0], project: key[1] };
  const wanted = { projectId, days, after, size: pageSizeOf(pageSize) };
  const page = await usage.list(organizationId, wanted, call.signal);
  return {
    days: page.items.map(({ project, day, ...counts }) => ({
      ...{ day: dayText(day), projectId: project, organizationId },
      ...counts,
    })),
    nextPageToken: nextPageToken(query, page, ({ day, project }) => [dayText(day), project]),
  };
}
