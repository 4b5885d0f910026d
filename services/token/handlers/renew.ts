import { fromLogPositions, toRenewResult } from '@silo/guard/wire.ts';
import type {
  RenewRequest,
  RenewResponse,
} from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import type { Dependencies } from './dependencies.ts';

/** Renew: a view, where the guard has applied what is required. */
export const createRenew =
  ({ registry }: Dependencies): Handler<RenewRequest, RenewResponse> =>
  async ({ leaseId, applied, acknowledged }, { actor, signal }) => {
    const renewal = {
      leaseId,
      applied: fromLogPositions(applied),
      acknowledged: fromLogPositions(acknowledged),
    };
    const { answer, keys } = await registry.for(actor).renew(renewal, signal);
    return { result: toRenewResult(answer), keys };
  };
