import type { SagaDefinition } from '@silo/saga/definition.ts';
import {
  type Founding,
  type FoundingPeers,
  makeProjectToken,
  openSlots,
  openSubscription,
} from './found-organization.ts';

type CreateOrganizationState = 'decided' | 'subscribed' | 'opened' | 'done';
export type CreateOrganizationSaga = SagaDefinition<CreateOrganizationState, Founding>;

/** Creates the subscription, slots, Default Project and token of a committed organization. */
export function defineCreateOrganization(peers: FoundingPeers): CreateOrganizationSaga {
  return {
    kind: 'create-organization',
    transitions: {
      decided: ['subscribed'],
      subscribed: ['opened'],
      opened: ['done'],
      done: [],
    },
    steps: {
      decided: async (saga, context) => ({
        next: 'subscribed',
        data: await openSubscription(peers, saga, context),
      }),
      subscribed: async (saga, context) => {
        await openSlots(peers, saga, context);
        return { next: 'opened' };
      },
      opened: async (saga, context) => ({
        next: 'done',
        data: await makeProjectToken(peers, saga, context),
      }),
    },
  };
}
