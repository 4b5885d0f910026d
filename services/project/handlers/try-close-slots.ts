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
    uses: Pick<Dependencies, 'projects' | 'slots' | 'eventLog' | 'access'>,
  ): Handler<TryCloseSlotsRequest, TryCloseSlotsResponse> =>
  async (request, call) => {
    const { organizationId, revision, endDeletedProjects } = request;
    const outcome = await trySlots(uses, call, {
      organizationId,
      attempt: async (tx) => {
        // Undeleting one changes the slots, so it conflicts with this try.
        const deletedCount = endDeletedProjects
          ? 0
          : await uses.projects.countRestorable(tx, organizationId);
        return { kind: 'close', revision, deletedCount };
      },
      onBehalfOf: requireOnBehalfOf(request),
      scope: 'organization:write',
      level: Level.LEVEL_OWNER,
    });
    return { outcome };
  };
