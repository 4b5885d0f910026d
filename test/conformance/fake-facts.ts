import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { FactServiceServer as OrgFacts } from '@silo/protos/gen/silo/org/internal/v1/fact_service.ts';
import type { FactServiceServer as ProjectFacts } from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { FactServiceServer as TokenFacts } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import { newId } from '@silo/tokens/ids.ts';
import { fingerprintOf, hashOf, newApiKey, newProjectToken } from '@silo/tokens/secrets.ts';

/** One project of one organization, its token, and the key of a member. The test removes them. */
export class FakeFacts {
  readonly token = newProjectToken();
  readonly key = newApiKey();
  readonly projectId = newId('prj');
  readonly organizationId = newId('org_us');
  readonly accountId = newId('acc');
  readonly keyId = newId('key');
  hasToken = true;
  hasKey = true;
  isMember = true;
  /** Number of fetches so far. */
  fetches = 0;
  /** Held fetches of the token: each is answered with the facts at the time of its arrival. */
  readonly held: (() => void)[] = [];
  holdsToken = false;

  get tokenFingerprint(): string {
    return fingerprintOf(this.token);
  }

  readonly tokenService: TokenFacts = {
    getTokenFact: ({ request }, answer) => {
      this.fetches++;
      const isKnown = this.hasToken && hashOf(this.token).equals(request.tokenHash);
      const token = isKnown ? { projectId: this.projectId } : undefined;
      const send = () => answer(null, { token });
      if (this.holdsToken) this.held.push(send);
      else send();
    },
    getKeyFact: ({ request }, answer) => {
      this.fetches++;
      const isKnown = this.hasKey && hashOf(this.key).equals(request.keyHash);
      const { keyId, accountId } = this;
      const limits = { scopes: ['*'], organizationIds: [], projectIds: [] };
      const rest = { expireTime: undefined, disabled: false };
      answer(null, { key: isKnown ? { keyId, accountId, ...limits, ...rest } : undefined });
    },
  };

  readonly projectService: ProjectFacts = {
    getProjectFact: ({ request: { projectId } }, answer) => {
      this.fetches++;
      const { organizationId } = this;
      const state = ProjectState.PROJECT_STATE_ACTIVE;
      const project = { organizationId, state, capture: undefined, migratedTo: undefined };
      answer(null, { project: projectId === this.projectId ? project : undefined });
    },
  };

  readonly orgService: OrgFacts = {
    getOrganizationFact: ({ request: { organizationId } }, answer) => {
      this.fetches++;
      const organization = { membersMayCreateProjects: true };
      const isKnown = organizationId === this.organizationId;
      answer(null, { organization: isKnown ? organization : undefined });
    },
    getMembershipFact: ({ request: { accountId } }, answer) => {
      this.fetches++;
      const isKnown = this.isMember && accountId === this.accountId;
      answer(null, { level: isKnown ? Level.LEVEL_MEMBER : Level.LEVEL_UNSPECIFIED });
    },
  };
}
