import { SubscriptionServiceService } from '@silo/protos/gen/silo/billing/internal/v1/subscription_service.ts';
import { BillingServiceService } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { mount } from '@silo/rpc/mount.ts';
import type { ServiceDefinition } from '@silo/service/service-definition.ts';
import { changePlan } from './handlers/change-plan.ts';
import type { Dependencies } from './handlers/dependencies.ts';
import { getSubscription } from './handlers/get-subscription.ts';
import { closeSubscription, openSubscription } from './handlers/internal/subscriptions.ts';
import { listPlans } from './handlers/list-plans.ts';
import { updateBillingDetails } from './handlers/update-billing-details.ts';
import { createChangePlanSaga } from './sagas/change-plan.ts';
import { storeMigrations } from './store/set-up.ts';
import { createSubscriptionStore } from './store/subscriptions.ts';

/** Plans, subscriptions and billing details. */
export const billingService: ServiceDefinition = {
  name: 'billing',
  migrations: storeMigrations,
  factReader: () => ({}),
  build: ({ db, eventLog, access, peers, clock, createSagas }) => {
    const subscriptions = createSubscriptionStore(db);
    const { slots } = peers.project;
    const changePlanSaga = createChangePlanSaga({ subscriptions, slots, clock });
    const sagas = createSagas([changePlanSaga]);
    const dependencies: Dependencies = {
      ...{ eventLog, subscriptions, slots, access, sagas, changePlanSaga },
    };
    return {
      public: [
        mount(
          BillingServiceService,
          {
            listPlans,
            getSubscription,
            updateBillingDetails,
            changePlan,
          },
          dependencies,
        ),
      ],
      internal: [
        mount(
          SubscriptionServiceService,
          {
            openSubscription,
            closeSubscription,
          },
          dependencies,
        ),
      ],
    };
  },
};
