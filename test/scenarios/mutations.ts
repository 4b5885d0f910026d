import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { keyMessage } from '../authorization/world.ts';
import {
  either,
  eitherOf,
  etag,
  type Mutation,
  updateMask,
  upgraded,
  withKey,
} from './mutation-support.ts';
import { orgMutations } from './org-mutations.ts';
import { projectMutations } from './project-mutations.ts';
import { billingDetails } from './support.ts';

/** Every mutation of the public API and of staff, by its path. */
export const mutations: Record<string, Mutation> = {
  ...orgMutations,
  ...projectMutations,
  '/silo.token.v1.ProjectTokenService/RegenerateProjectToken': {
    events: ['token.created', 'token.revoked'],
    prepare: async (silo) => {
      const ada = await silo.signUp();
      const { projectId } = ada;
      return either(
        ada,
        ['', '0123456789ab'],
        (expectedFingerprint, requestId, api) =>
          api.projectTokens.regenerateProjectToken({ projectId, expectedFingerprint, requestId }),
        { organizationId: ada.organization.id },
      );
    },
  },
  '/silo.token.v1.ApiKeyService/CreateApiKey': {
    events: ['token.key_created'],
    prepare: async (silo) => {
      const ada = await silo.signUp();
      return either(ada, ['One', 'Other'], (name, requestId, api) =>
        api.apiKeys.createApiKey({ apiKey: keyMessage({ name, scopes: ['*'] }), requestId }),
      );
    },
  },
  '/silo.token.v1.ApiKeyService/UpdateApiKey': {
    events: ['token.key_updated'],
    prepare: async (silo) => {
      const ada = await withKey(silo);
      const { keyId: id } = ada;
      return either(ada, ['One', 'Other'], (name, requestId, api) =>
        api.apiKeys.updateApiKey({ apiKey: keyMessage({ id, name }), updateMask, requestId }),
      );
    },
  },
  '/silo.token.v1.ApiKeyService/DisableApiKey': {
    events: ['token.key_updated'],
    prepare: async (silo) => {
      const ada = await withKey(silo);
      const { keyId } = ada;
      return either(ada, ['', 'other'], (etag, requestId, api) =>
        api.apiKeys.disableApiKey({ keyId, etag, requestId }),
      );
    },
  },
  '/silo.token.v1.ApiKeyService/EnableApiKey': {
    events: ['token.key_updated'],
    prepare: async (silo) => {
      const ada = await withKey(silo);
      const { api, keyId } = ada;
      await api.apiKeys.disableApiKey({ keyId, etag, requestId: '' });
      return either(ada, ['', 'other'], (etag, requestId, api) =>
        api.apiKeys.enableApiKey({ keyId, etag, requestId }),
      );
    },
  },
  '/silo.token.v1.ApiKeyService/RollApiKey': {
    events: ['token.key_revoked'],
    prepare: async (silo) => {
      const ada = await withKey(silo);
      const { keyId } = ada;
      return either(ada, [undefined, { seconds: 1, nanos: 0 }], (overlap, requestId, api) =>
        api.apiKeys.rollApiKey({ keyId, overlap, etag, requestId }),
      );
    },
  },
  '/silo.token.v1.ApiKeyService/DeleteApiKey': {
    events: ['token.key_revoked'],
    prepare: async (silo) => {
      const ada = await withKey(silo);
      const { keyId } = ada;
      return either(ada, ['', 'other'], (etag, requestId, api) =>
        api.apiKeys.deleteApiKey({ keyId, etag, requestId }),
      );
    },
  },
  '/silo.token.internal.v1.StaffService/IssueApiKey': {
    events: ['token.key_created'],
    prepare: async (silo) => {
      const [ada, bob] = await Promise.all([silo.signUp(), silo.signUp()]);
      return eitherOf([ada.account.id, bob.account.id], (accountId, requestId) =>
        silo.internal().token.staff.issueApiKey({ accountId, requestId }),
      );
    },
  },

  '/silo.billing.v1.BillingService/UpdateBillingDetails': {
    events: ['billing.billing_details_updated'],
    prepare: async (silo) => {
      const ada = await silo.signUp();
      const { organization } = ada;
      const unconditional = { organizationId: organization.id, etag };
      return either(
        ada,
        ['One', 'Other'],
        (companyName, requestId, api) =>
          api.billing.updateBillingDetails({
            ...unconditional,
            billingDetails: { ...billingDetails, companyName },
            requestId,
          }),
        { organizationId: organization.id },
      );
    },
  },
  '/silo.billing.v1.BillingService/ChangePlan': {
    events: ['billing.plan_changed', 'project.slots_changed'],
    prepare: async (silo) => {
      const ada = await upgraded(silo);
      const { organizationId } = ada;
      return either(
        ada,
        [Plan.PLAN_FREE, Plan.PLAN_PAY_AS_YOU_GO],
        (plan, requestId, api) => api.billing.changePlan({ organizationId, plan, etag, requestId }),
        { organizationId },
      );
    },
  },
};
