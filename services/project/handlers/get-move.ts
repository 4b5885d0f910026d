import { reachesOrganization } from '@silo/access/reach.ts';
import type {
  GetMoveRequest,
  GetMoveResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import { visibleMove } from '../messages.ts';
import type { Dependencies } from './dependencies.ts';
import { readSeenMove } from './shared/seen-move.ts';

export async function getMove(
  { moveId }: GetMoveRequest,
  call: Call,
  dependencies: Pick<Dependencies, 'moves' | 'access'>,
): Promise<GetMoveResponse> {
  const seen = await readSeenMove(dependencies, call, { moveId, scope: 'project:read' });
  const { move, source, destination } = seen;
  const { key } = keyCaller(call);
  const reachesAll =
    (source && reachesOrganization(key, move.sourceOrganizationId)) ||
    (destination && reachesOrganization(key, move.destinationOrganizationId));
  return { move: visibleMove(move, reachesAll ? undefined : key.projectIds) };
}
