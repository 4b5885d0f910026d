import type {
  RaiseRequirementRequest,
  RaiseRequirementResponse,
} from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import type { Dependencies } from './dependencies.ts';
import { ownPositions } from './own-positions.ts';

/** RaiseRequirement: what a relay has seen in its log is required of every guard. */
export const createRaiseRequirement =
  ({ registry }: Dependencies): Handler<RaiseRequirementRequest, RaiseRequirementResponse> =>
  async ({ positions }, call) => {
    await registry.raiseRequirement(ownPositions(positions, call), call.signal);
    return {};
  };
