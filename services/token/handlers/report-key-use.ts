import type {
  ReportKeyUseRequest,
  ReportKeyUseResponse,
} from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import type { Dependencies } from './dependencies.ts';

/** ReportKeyUse: keys that guards have let in, for their `last_use_time`. */
export const createReportKeyUse =
  ({ registry }: Dependencies): Handler<ReportKeyUseRequest, ReportKeyUseResponse> =>
  async ({ keys }, { actor, signal }) => {
    await registry.for(actor).reportKeyUse(keys, signal);
    return {};
  };
