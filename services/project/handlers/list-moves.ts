import { reachesOrganization } from '@silo/guard/reach.ts';
import { encodePageToken, pageSizeOf } from '@silo/mongo/page-token.ts';
import type {
  ListMovesRequest,
  ListMovesResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { type Handler, keyCaller, targetOrganization } from '@silo/rpc/call.ts';
import type { Dependencies } from './dependencies.ts';
import { toldMove } from './messages.ts';
import { positionOf } from './page.ts';

/** As many batches of 500 as one message may hold: gRPC's clients take 4 MiB. */
const pageSizeMax = 200;

export const createListMoves =
  ({ moves }: Pick<Dependencies, 'moves'>): Handler<ListMovesRequest, ListMovesResponse> =>
  async ({ projectId, pageSize, pageToken }, call) => {
    const { key } = keyCaller(call);
    // By project, too, only what its present owner may see.
    const organizationId = targetOrganization(call).id;
    const query = ['ListMoves', organizationId, projectId];
    const [beforeId] = positionOf(query, pageToken, 1) ?? [];
    const size = Math.min(pageSizeOf(pageSize), pageSizeMax);
    const listed = { organizationId, projectId: projectId === '' ? undefined : projectId };
    const found = await moves.list(listed, { beforeId, limit: size + 1 }, call.signal);
    const page = found.slice(0, size);
    const last = found.length > size ? page.at(-1) : undefined;
    const onlyIds = reachesOrganization(key, organizationId) ? undefined : key.projectIds;
    return {
      moves: page.map((move) => toldMove(move, onlyIds)),
      nextPageToken: last === undefined ? '' : encodePageToken(query, [last._id]),
    };
  };
