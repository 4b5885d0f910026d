import type { FactReader } from '@silo/access/access.ts';
import type { FactServiceClient as OrgFactServiceClient } from '@silo/protos/gen/silo/org/internal/v1/fact_service.ts';
import type { FactServiceClient as ProjectFactServiceClient } from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import type { FactServiceClient as TokenFactServiceClient } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import type { Connected } from '@silo/rpc/client.ts';

/** Clients of the owners of facts. */
export type FactClients = {
  org: { facts: Connected<OrgFactServiceClient> };
  project: { facts: Connected<ProjectFactServiceClient> };
  token: { facts: Connected<TokenFactServiceClient> };
};

/** Reads each fact from the service that owns it. */
export function remoteFactReader({ org, project, token }: FactClients): FactReader {
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
