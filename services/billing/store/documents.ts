import type { BillingDetails, Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';

/** An organization's subscription. Every change of it changes this document. */
export type SubscriptionDocument = {
  /** The organization's id. */
  _id: string;
  plan: Plan;
  billingDetails?: BillingDetails | undefined;
  /** Whether the organization is deleted. */
  closed: boolean;
  /** Time at which it was closed; absent before. */
  closeTime?: Date | undefined;
  /** Number of changes of the subscription. */
  revision: number;
  /** Number of intents to change the plan, which orders their conditional changes. */
  intentRevision: number;
  createTime: Date;
  updateTime: Date;
};
