import { errors } from '@silo/errors/errors.ts';
import type { Outcome } from '@silo/mongo/mutation.ts';
import {
  type UpdateBillingDetailsRequest,
  UpdateBillingDetailsResponse,
} from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { Call } from '@silo/rpc/call.ts';
import { beforePermit } from '@silo/rpc/check-access.ts';
import { checkEtag } from '@silo/tokens/etag.ts';
import { billingDetailsUpdated } from '../events.ts';
import { toSubscription } from '../messages.ts';
import { openSubscription } from '../rules/subscription.ts';
import type { Dependencies } from './dependencies.ts';

/** UpdateBillingDetails: replaces the billing details. The event does not contain them. */
export async function updateBillingDetails(
  { organizationId, billingDetails, etag }: UpdateBillingDetailsRequest,
  call: Call,
  { access, eventLog, subscriptions, slots }: Dependencies,
): Promise<Outcome<UpdateBillingDetailsResponse>> {
  if (billingDetails === undefined) {
    throw errors.invalidField([{ field: 'billing_details', description: 'is missing' }]);
  }
  const needs = { scope: 'billing:write', organizationId, level: Level.LEVEL_ADMIN };
  const [numbers] = await beforePermit({ access, call }, needs, () =>
    slots.getSlots({ organizationId }, { signal: call.signal }),
  );
  const { actor } = call;
  return await eventLog.mutate(call, UpdateBillingDetailsResponse, async (tx) => {
    const { now, emit } = tx;
    const found = await subscriptions.findIn(tx, organizationId);
    const present = openSubscription(found, organizationId);
    checkEtag(etag, present.revision);
    const revision = present.revision + 1;
    const after = { ...present, billingDetails, revision, updateTime: now };
    await subscriptions.save(tx, after, present.revision);
    emit(billingDetailsUpdated(after, { actor, time: now }));
    return { response: { subscription: toSubscription(after, numbers) } };
  });
}
