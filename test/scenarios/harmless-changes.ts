import { randomUUID } from 'node:crypto';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { Propagation } from '@silo/protos/gen/silo/common/v1/propagation.ts';
import { Member, Organization } from '@silo/protos/gen/silo/org/v1/organization.ts';
import { createKey, keyMessage } from '../authorization/world.ts';
import type { TestSilo } from '../harness/silo.ts';

import { team } from './revocations.ts';

const { LEVEL_OWNER } = Level;

/** A change by a method of the table that removes no access, and a repetition of a removal. */
type Harmless = {
  what: string;
  prepare(silo: TestSilo): Promise<{
    /** Removes no access. */
    keep(): Promise<{ propagation: Propagation | undefined }>;
    /** Removes access that was removed already. */
    again(): Promise<{ propagation: Propagation | undefined }>;
  }>;
};

export const harmless: Harmless[] = [
  {
    what: 'a key that is renamed or widened',
    prepare: async (silo) => {
      const { api } = await silo.signUp();
      const scopes = ['project:read'];
      const { apiKey } = await createKey(api, { scopes });
      const update = (fields: Parameters<typeof keyMessage>[0], updateMask: string[]) =>
        api.apiKeys.updateApiKey({
          ...{ apiKey: keyMessage({ id: apiKey.id, ...fields }), updateMask, requestId: '' },
        });
      const wider = ['project:write'];
      return {
        keep: async () => {
          await update({ name: 'other' }, ['name']);
          return await update({ scopes: wider }, ['scopes']);
        },
        again: () => update({ scopes: wider }, ['scopes']),
      };
    },
  },
  {
    what: 'a member who gets a higher level',
    prepare: async (silo) => {
      const { ada, bob, organizationId } = await team(silo);
      const update = (level: Level) => {
        const member = Member.fromPartial({ organizationId, accountId: bob.account.id, level });
        const request = { member, updateMask: undefined, requestId: '' };
        return ada.api.organizations.updateMember(request);
      };
      return { keep: () => update(LEVEL_OWNER), again: () => update(LEVEL_OWNER) };
    },
  },
  {
    what: 'an organization that is renamed or lets members create projects',
    prepare: async (silo) => {
      const { api, organization } = await silo.signUp();
      const update = (fields: Partial<Organization>, updateMask: string[]) =>
        api.organizations.updateOrganization({
          organization: Organization.fromPartial({ id: organization.id, ...fields }),
          ...{ updateMask, requestId: randomUUID() },
        });
      const policy = ['members_may_create_projects'];
      return {
        keep: async () => {
          await update({ membersMayCreateProjects: false }, policy);
          await update({ name: 'Other' }, ['name']);
          return await update({ membersMayCreateProjects: true }, policy);
        },
        again: async () => {
          await update({ membersMayCreateProjects: false }, policy);
          return await update({ membersMayCreateProjects: false }, policy);
        },
      };
    },
  },
];
