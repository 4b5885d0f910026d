import { decodePageToken, nextPageToken, pageSizeOf, textPart } from '@silo/mongo/page-token.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type {
  ListProjectsRequest,
  ListProjectsResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { demand } from '@silo/rpc/check-access.ts';
import { projectMessage } from '../messages.ts';
import type { Dependencies } from './dependencies.ts';

/**
 * ListProjects: a key that reaches the organization reaches all of its projects, as the server has
 * checked.
 */
export async function listProjects(
  { organizationId, pageSize, pageToken, showDeleted }: ListProjectsRequest,
  call: Call,
  { projects, access }: Pick<Dependencies, 'projects' | 'access'>,
): Promise<ListProjectsResponse> {
  const query = ['ListProjects', organizationId, showDeleted];
  const [afterId = ''] = decodePageToken(query, pageToken, [textPart]) ?? [];
  if (showDeleted) {
    const level = Level.LEVEL_ADMIN;
    await demand(access, call, { scope: 'project:read', organizationId, level });
  }
  const wanted = { afterId, size: pageSizeOf(pageSize), showDeleted };
  const page = await projects.list(organizationId, wanted, call.signal);
  return {
    projects: page.items.map(projectMessage),
    nextPageToken: nextPageToken(query, page, ({ _id }) => [_id]),
  };
}
