import type { SagaDefinition } from '@silo/saga/definition.ts';
import {
  type Founding,
  type FoundingPeers,
  makeProjectToken,
  openSlots,
  openSubscription,
} from './found-organization.ts';

/**
 * A new account with its organization. It contains only those parts of the API key's secret that
 * may be stored.
 */
export type AccountFounding = Founding & {
  email: string;
  displayName: string;
  keyId: string;
  /** SHA-256 of the secret. */
  keyHash: Uint8Array;
  /** The secret in the masked form that may be shown. */
  keyMasked: string;
};

type CreateAccountState = 'decided' | 'subscribed' | 'opened' | 'tokened' | 'done';
export type CreateAccountSaga = SagaDefinition<CreateAccountState, AccountFounding>;

/** Creates what the organization of a committed account requires, then the account's first key. */
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
