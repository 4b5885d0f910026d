import { SubscriptionServiceService } from '@silo/protos/gen/silo/billing/internal/v1/subscription_service.ts';
import { BillingServiceService } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { mount } from '@silo/rpc/mount.ts';
import type { ServiceDefinition } from '@silo/service/service-definition.ts';
import { createChangePlan } from './handlers/change-plan.ts';
import { createCloseSubscription } from './handlers/close-subscription.ts';
import type { Dependencies } from './handlers/dependencies.ts';
import { createGetSubscription } from './handlers/get-subscription.ts';
import { listPlans } from './handlers/list-plans.ts';
import { createOpenSubscription } from './handlers/open-subscription.ts';
import { createUpdateBillingDetails } from './handlers/update-billing-details.ts';
import { createChangePlanSaga } from './sagas/change-plan.ts';
import { createRequestStore } from './store/requests.ts';
import { setUpStore } from './store/set-up.ts';
import { createSubscriptionStore } from './store/subscriptions.ts';

/** Plans, subscriptions and billing details. */
export const billingService: ServiceDefinition = {
  name: 'billing',
  setUp: setUpStore,
  fills: () => ({}),
  build: ({ db, eventLog, access, peers, clock, createSagas }) => {
    const subscriptions = createSubscriptionStore(db);
    const { slots } = peers.project;
    const requests = createRequestStore(db);
    const changePlan = createChangePlanSaga({ subscriptions, requests, slots, clock });
    const sagas = createSagas([changePlan]);
    const dependencies: Dependencies = {
      ...{ eventLog, subscriptions, slots, access, sagas, changePlan },
    };
    return {
      public: [
        mount(BillingServiceService, {
          listPlans,
          getSubscription: createGetSubscription(dependencies),
          updateBillingDetails: createUpdateBillingDetails(dependencies),
          changePlan: createChangePlan(dependencies),
        }),
      ],
      internal: [
        mount(SubscriptionServiceService, {
          openSubscription: createOpenSubscription(dependencies),
          closeSubscription: createCloseSubscription(dependencies),
        }),
      ],
    };
  },
};
