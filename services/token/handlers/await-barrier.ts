import type {
  AwaitBarrierRequest,
  AwaitBarrierResponse,
} from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import type { Dependencies } from './dependencies.ts';
import { ownPositions } from './own-positions.ts';

/** AwaitBarrier: answers when no guard has a view without these positions. */
export const createAwaitBarrier =
  ({ registry }: Dependencies): Handler<AwaitBarrierRequest, AwaitBarrierResponse> =>
  async ({ positions }, call) => {
    const own = ownPositions(positions, call);
    return { propagation: await registry.awaitBarrier(own, call.signal) };
  };
