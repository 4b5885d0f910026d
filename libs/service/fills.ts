import type { Fills } from '@silo/guard/access.ts';
import type { Peers } from './peers.ts';

/** The fills, each asked of the service that owns the fact. */
export function peerFills({ org, project, token }: Peers): Fills {
  return {
    token: async (tokenHash, signal) =>
      (await token.facts.getTokenFact({ tokenHash: Buffer.from(tokenHash) }, { signal })).token,
    key: async (keyHash, signal) =>
      (await token.facts.getKeyFact({ keyHash: Buffer.from(keyHash) }, { signal })).key,
    project: async (projectId, signal) =>
      (await project.facts.getProjectFact({ projectId }, { signal })).project,
    organization: async (organizationId, signal) =>
      (await org.facts.getOrganizationFact({ organizationId }, { signal })).organization,
    membership: async (accountId, organizationId, signal) =>
      (await org.facts.getMembershipFact({ accountId, organizationId }, { signal })).level,
  };
}
