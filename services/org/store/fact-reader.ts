import type { FactReader } from '@silo/access/access.ts';
import type { Stores } from './set-up.ts';

/** The facts that org owns. */
export type OrgFactReader = Pick<FactReader, 'organization' | 'membership'>;

/** Reads the facts from the database, each by one linearizable read of one document. */
export function createOrgFactReader({
  organizations,
  members,
}: Pick<Stores, 'organizations' | 'members'>): OrgFactReader {
  return {
    organization: async (organizationId, signal) => {
      const found = await organizations.readFact(organizationId, signal);
      return found && { membersMayCreateProjects: found.membersMayCreateProjects };
    },
    membership: (accountId, organizationId, signal) =>
      members.readFact(accountId, organizationId, signal),
  };
}
