import type { Access } from '@silo/access/access.ts';
import type { EventLog } from '@silo/log/event-log.ts';
import type { Sagas } from '@silo/saga/sagas.ts';
import type { Peers } from '@silo/service/peers.ts';
import type { ChangePlanSaga } from '../sagas/change-plan.ts';
import type { SubscriptionStore } from '../store/subscriptions.ts';

/** The dependencies of this service's handlers. */
export type Dependencies = {
  eventLog: EventLog;
  subscriptions: SubscriptionStore;
  slots: Pick<Peers['project']['slots'], 'getSlots'>;
  access: Access;
  sagas: Sagas;
  changePlanSaga: ChangePlanSaga;
};
