import { nextPageToken, pageSizeOf } from '@silo/mongo/page-token.ts';
import type {
  ListProjectsRequest,
  ListProjectsResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import type { Dependencies } from './dependencies.ts';
import { projectMessage } from './messages.ts';
import { positionOf } from './page.ts';

/** A key that reaches the organization reaches all of its projects: the server has judged that. */
export const createListProjects =
  ({
    projects,
  }: Pick<Dependencies, 'projects'>): Handler<ListProjectsRequest, ListProjectsResponse> =>
  async ({ organizationId, pageSize, pageToken }, call) => {
    const query = ['ListProjects', organizationId];
    const [afterId = ''] = positionOf(query, pageToken, 1) ?? [];
    const wanted = { afterId, size: pageSizeOf(pageSize) };
    const page = await projects.list(organizationId, wanted, call.signal);
    return {
      projects: page.items.map(projectMessage),
      nextPageToken: nextPageToken(query, page, ({ _id }) => [_id]),
    };
  };
