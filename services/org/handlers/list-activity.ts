import {
  decodePageToken,
  nextPageToken,
  numberPart,
  pageSizeOf,
  textPart,
  timePart,
} from '@silo/mongo/page-token.ts';
import type {
  ListActivityRequest,
  ListActivityResponse,
} from '@silo/protos/gen/silo/org/v1/activity_service.ts';
import { type Call, targetOrganization } from '@silo/rpc/call.ts';
import { withDeadline } from '@silo/runtime/deadline.ts';
import { activityMessage } from '../messages.ts';
import type { Dependencies } from './dependencies.ts';

/**
 * Part of a call's deadline that catching up leaves unused, so that the page can be read or the
 * call refused.
 */
const readingMs = 500;

/** Lists the activity of an organization, or of a project that it has now, newest first. */
export async function listActivity(
  { projectId, pageSize, pageToken }: ListActivityRequest,
  call: Call,
  { stores, follower, reading }: Pick<Dependencies, 'stores' | 'follower' | 'reading'>,
): Promise<ListActivityResponse> {
  const organizationId = targetOrganization(call).id;
  const query = ['activity', organizationId, projectId];
  const key = decodePageToken(query, pageToken, [timePart, numberPart, textPart]);
  const after = key && { time: key[0], sequence: key[1], id: key[2] };
  const size = pageSizeOf(pageSize);
  await follower.catchUp(withDeadline(call.remainingMs() - readingMs, call.signal).signal);
  const wanted = { projectId, after, size };
  const page = await reading(call, () => stores.activity.list(organizationId, wanted, call.signal));
  return {
    entries: page.items.map(activityMessage),
    nextPageToken: nextPageToken(query, page, ({ time, sequence, _id }) => [time, sequence, _id]),
  };
}
