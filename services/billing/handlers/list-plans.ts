import type { ListPlansResponse } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { plans } from '../rules/plan-catalogue.ts';

/** ListPlans: returns the catalogue. */
export async function listPlans(): Promise<ListPlansResponse> {
  return { plans: [...plans] };
}
