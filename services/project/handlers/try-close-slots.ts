import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type {
  TryCloseSlotsRequest,
  TryCloseSlotsResponse,
} from '@silo/protos/gen/silo/project/internal/v1/slot_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import type { Dependencies } from './dependencies.ts';
import { requireOnBehalfOf } from './on-behalf-of.ts';
import { trySlots } from './try-slots.ts';

export const createTryCloseSlots =
  (
    uses: Pick<Dependencies, 'slots' | 'eventLog' | 'access'>,
  ): Handler<TryCloseSlotsRequest, TryCloseSlotsResponse> =>
  async (request, call) => {
    const { organizationId, revision } = request;
    const outcome = await trySlots(uses, call, {
      organizationId,
      attempt: { kind: 'close', revision },
      onBehalfOf: requireOnBehalfOf(request),
      scope: 'organization:write',
      level: Level.LEVEL_OWNER,
    });
    return { outcome };
  };
