import type {
  ReleaseRequest,
  ReleaseResponse,
} from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import type { Dependencies } from './dependencies.ts';

/** Release: nobody waits for this guard any more. */
export const createRelease =
  ({ registry }: Dependencies): Handler<ReleaseRequest, ReleaseResponse> =>
  async ({ leaseId }, { actor, signal }) => {
    await registry.for(actor).release(leaseId, signal);
    return {};
  };
