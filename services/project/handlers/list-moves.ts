import { reachesOrganization } from '@silo/access/reach.ts';
import { decodePageToken, nextPageToken, pageSizeOf, textPart } from '@silo/mongo/page-token.ts';
import type {
  ListMovesRequest,
  ListMovesResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { type Call, keyCaller, targetOrganization } from '@silo/rpc/call.ts';
import { visibleMove } from '../messages.ts';
import type { Dependencies } from './dependencies.ts';

export async function listMoves(
  { projectId, pageSize, pageToken }: ListMovesRequest,
  call: Call,
  { moves }: Pick<Dependencies, 'moves'>,
): Promise<ListMovesResponse> {
  const { key } = keyCaller(call);
  // Also for a project, only the moves that its present owner may see.
  const organizationId = targetOrganization(call).id;
  const query = ['ListMoves', organizationId, projectId];
  const [beforeId] = decodePageToken(query, pageToken, [textPart]) ?? [];
  const listed = { organizationId, projectId: projectId === '' ? undefined : projectId };
  const page = await moves.list(listed, { beforeId, size: pageSizeOf(pageSize) }, call.signal);
  const onlyIds = reachesOrganization(key, organizationId) ? undefined : key.projectIds;
  return {
    moves: page.items.map((move) => visibleMove(move, onlyIds)),
    nextPageToken: nextPageToken(query, page, ({ _id }) => [_id]),
  };
}
