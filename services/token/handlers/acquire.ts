import { toLeaseTerms } from '@silo/guard/wire.ts';
import type {
  AcquireRequest,
  AcquireResponse,
} from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import type { Dependencies } from './dependencies.ts';

/** Acquire: a lease, and no view. */
export const createAcquire =
  ({ registry }: Dependencies): Handler<AcquireRequest, AcquireResponse> =>
  async ({ leaseId, guardName }, { actor, signal }) => {
    const { numbers, keys } = await registry.for(actor).acquire(leaseId, guardName, signal);
    return { terms: toLeaseTerms(numbers), keys };
  };
