import type {
  ListPlansRequest,
  ListPlansResponse,
} from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import { plans } from '../rules/plan-catalogue.ts';

/** ListPlans: the catalogue. */
export const listPlans: Handler<ListPlansRequest, ListPlansResponse> = async () => ({
  plans: [...plans],
});
