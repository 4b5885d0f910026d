import type { BillingDetails, Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';

/** An organization's subscription: the one document that every change of it changes. */
export type SubscriptionDocument = {
  /** The organization's id. */
  _id: string;
  plan: Plan;
  billingDetails?: BillingDetails | undefined;
  /** The organization is deleted. */
  closed: boolean;
  /** When it was closed; absent before. */
  closeTime?: Date | undefined;
  /** Counts the changes of the subscription. */
  revision: number;
  /** Counts the intents to change the plan; orders their conditional changes. */
  intentRevision: number;
  createTime: Date;
  updateTime: Date;
};
