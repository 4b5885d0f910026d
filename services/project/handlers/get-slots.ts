import { errors } from '@silo/errors/errors.ts';
import type {
  GetSlotsRequest,
  GetSlotsResponse,
} from '@silo/protos/gen/silo/project/internal/v1/slot_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import type { Dependencies } from './dependencies.ts';

export const createGetSlots =
  ({ slots }: Pick<Dependencies, 'slots'>): Handler<GetSlotsRequest, GetSlotsResponse> =>
  async ({ organizationId }, { signal }) => {
    const found = (await slots.getMany([organizationId], signal)).get(organizationId);
    if (found === undefined) throw errors.notReady('the organization’s project slots');
    return { limit: found.limit ?? undefined, count: found.count };
  };
