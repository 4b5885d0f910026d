import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type {
  TrySetLimitRequest,
  TrySetLimitResponse,
} from '@silo/protos/gen/silo/project/internal/v1/slot_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import type { Dependencies } from './dependencies.ts';
import { requireOnBehalfOf } from './on-behalf-of.ts';
import { trySlots } from './try-slots.ts';

export const createTrySetLimit =
  (
    uses: Pick<Dependencies, 'slots' | 'eventLog' | 'access'>,
  ): Handler<TrySetLimitRequest, TrySetLimitResponse> =>
  async (request, call) => {
    const { organizationId, limit = null, revision } = request;
    const outcome = await trySlots(uses, call, {
      organizationId,
      attempt: () => ({ kind: 'limit', revision, limit }),
      onBehalfOf: requireOnBehalfOf(request),
      scope: 'billing:write',
      level: Level.LEVEL_ADMIN,
    });
    return { outcome };
  };
