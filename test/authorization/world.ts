import { randomUUID } from 'node:crypto';
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { ApiKey } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import type { PublicApi, SignedUp } from '../harness/clients.ts';
import { untilAnswered } from '../harness/eventually.ts';
import type { TestSilo } from '../harness/silo.ts';

/** One organization with a member of each level, and an account that is not a member. */
export type World = {
  silo: TestSilo;
  owner: SignedUp;
  admin: SignedUp;
  member: SignedUp;
  foreign: SignedUp;
  organizationId: string;
  projectId: string;
  /** A key of each account, by level, as the target of ApiKeyService. */
  keyIds: Map<string, string>;
  /** Another organization of the owner. */
  elsewhereId: string;
};

/** Creates one over the public API. */
export async function createWorld(silo: TestSilo): Promise<World> {
  const [owner, admin, member, foreign] = await Promise.all([
    silo.signUp('Owner'),
    silo.signUp('Admin'),
    silo.signUp('Member'),
    silo.signUp('Foreign'),
  ]);
  const organizationId = owner.organization.id;
  await join(owner, admin, Level.LEVEL_ADMIN);
  await join(owner, member, Level.LEVEL_MEMBER);
  await upgrade(owner.api, organizationId);
  const elsewhereRequest = { name: 'Elsewhere', requestId: randomUUID() };
  const elsewhere = await untilAnswered(() =>
    owner.api.organizations.createOrganization(elsewhereRequest),
  );
  const keyIds = new Map<string, string>();
  for (const person of [owner, admin, member, foreign]) {
    const { apiKey } = await createKey(person.api, { scopes: ['*'] });
    keyIds.set(person.account.id, apiKey.id);
  }
  return {
    silo,
    owner,
    admin,
    member,
    foreign,
    organizationId,
    projectId: owner.projectId,
    keyIds,
    elsewhereId: elsewhere.organization?.id ?? '',
  };
}

/** Invites, to the inviter's own organization unless another is named, and accepts. */
export async function join(
  inviter: SignedUp,
  invited: SignedUp,
  level: Level,
  organizationId = inviter.organization.id,
): Promise<void> {
  const { email } = invited.account;
  const invite = { organizationId, email, level, requestId: randomUUID() };
  const { code } = await untilAnswered(() => inviter.api.organizations.inviteMember(invite));
  const acceptance = { code, requestId: randomUUID() };
  await untilAnswered(() => invited.api.organizations.acceptInvite(acceptance));
}

/** Details that any plan accepts. */
export const billingDetails = {
  companyName: 'Example Ltd',
  email: 'billing@example.com',
  address: '1 Example Street',
  countryCode: 'DE',
  taxId: '',
};

/** Upgrades to the plan without a limit. */
export async function upgrade(api: PublicApi, organizationId: string): Promise<void> {
  const details = { organizationId, billingDetails, etag: '', requestId: randomUUID() };
  await untilAnswered(() => api.billing.updateBillingDetails(details));
  const change = { organizationId, plan: Plan.PLAN_SCALE, etag: '', requestId: randomUUID() };
  await untilAnswered(() => api.billing.changePlan(change));
}

/** Creates a further key of the account that `api` calls for. */
export async function createKey(
  api: PublicApi,
  wanted: Partial<Pick<ApiKey, 'scopes' | 'organizationIds' | 'projectIds' | 'expireTime'>>,
): Promise<{ apiKey: ApiKey; secret: string }> {
  const request = {
    apiKey: keyMessage({ name: 'further', ...wanted }),
    requestId: randomUUID(),
  };
  const { apiKey, secret } = await untilAnswered(() => api.apiKeys.createApiKey(request));
  if (apiKey === undefined) throw new Error('an empty answer');
  return { apiKey, secret };
}

/** An ApiKey message with these fields and no others. */
export function keyMessage(fields: Partial<ApiKey>): ApiKey {
  return {
    id: '',
    accountId: '',
    name: '',
    masked: '',
    fingerprint: '',
    scopes: [],
    organizationIds: [],
    projectIds: [],
    expireTime: undefined,
    disabled: false,
    createTime: undefined,
    updateTime: undefined,
    lastUseTime: undefined,
    overlapExpireTime: undefined,
    etag: '',
    ...fields,
  };
}
