import type { Peers } from '@silo/service/peers.ts';
import type { Stores } from '../store/set-up.ts';
import { defineCreateAccount } from './create-account.ts';
import { defineCreateOrganization } from './create-organization.ts';
import { defineDeleteOrganization } from './delete-organization.ts';

/** The definitions of the sagas that org begins. */
export type SagaDefinitions = ReturnType<typeof defineSagas>;

/** Defines the sagas that org begins. */
export function defineSagas(stores: Stores, peers: Peers) {
  return {
    createAccount: defineCreateAccount(peers),
    createOrganization: defineCreateOrganization(peers),
    deleteOrganization: defineDeleteOrganization(stores, peers),
  };
}
