import type { SagaDefinition } from '@silo/saga/definition.ts';
import {
  type Founding,
  type FoundingPeers,
  makeProjectToken,
  openSlots,
  openSubscription,
} from './found-organization.ts';

/** A new account with its organization. Of the API key's secret it holds what may be stored. */
export type AccountFounding = Founding & {
  email: string;
  displayName: string;
  keyId: string;
  /** SHA-256 of the secret. */
  keyHash: Uint8Array;
  /** The secret as it may be shown. */
  keyMasked: string;
};

type CreateAccountState = 'decided' | 'subscribed' | 'opened' | 'tokened' | 'done';
export type CreateAccountSaga = SagaDefinition<CreateAccountState, AccountFounding>;

/** What follows the decision that an account is: what its organization needs, then its first key. */
export function defineCreateAccount(peers: FoundingPeers): CreateAccountSaga {
  return {
    kind: 'create-account',
    transitions: {
      decided: ['subscribed'],
      subscribed: ['opened'],
      opened: ['tokened'],
      tokened: ['done'],
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
        next: 'tokened',
        data: await makeProjectToken(peers, saga, context),
      }),
      tokened: async ({ _id: correlationId, data }, { signal }) => {
        const { accountId, keyId, keyHash, keyMasked: masked } = data;
        const named = { keyId, accountId, name: 'First key', scopes: ['*'], correlationId };
        await peers.token.secrets.storeApiKey(
          { ...named, keyHash: Buffer.from(keyHash), masked },
          { signal },
        );
        return { next: 'done' };
      },
    },
  };
}
