import { randomUUID } from 'node:crypto';
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { ApiKey } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import type { PublicApi, SignedUp } from '../harness/clients.ts';
import type { TestSilo } from '../harness/silo.ts';

/** One organization with a member of each level, and an account that is no member. */
export type World = {
  silo: TestSilo;
  owner: SignedUp;
  admin: SignedUp;
  member: SignedUp;
  foreign: SignedUp;
  organizationId: string;
  projectId: string;
  /** A key of each person's, by level, to act on in ApiKeyService. */
  keyIds: Map<string, string>;
  /** Another organization of the owner's. */
  elsewhereId: string;
};

/** Makes one, over the public API. */
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
  const elsewhere = await owner.api.organizations.createOrganization({
    name: 'Elsewhere',
    requestId: '',
  });
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
  const { code } = await inviter.api.organizations.inviteMember({
    organizationId,
    email: invited.account.email,
    level,
    requestId: randomUUID(),
  });
  await invited.api.organizations.acceptInvite({ code, requestId: '' });
}

/** Details that any plan accepts. */
export const billingDetails = {
  companyName: 'Example Ltd',
  email: 'billing@example.com',
  address: '1 Example Street',
  countryCode: 'DE',
  taxId: '',
};

/** To the plan without a limit. */
export async function upgrade(api: PublicApi, organizationId: string): Promise<void> {
  await api.billing.updateBillingDetails({
    organizationId,
    billingDetails,
    etag: '',
    requestId: '',
  });
  await api.billing.changePlan({
    organizationId,
    plan: Plan.PLAN_SCALE,
    etag: '',
    requestId: '',
  });
}

/** A further key of the account that `api` calls for. */
export async function createKey(
  api: PublicApi,
  wanted: Partial<Pick<ApiKey, 'scopes' | 'organizationIds' | 'projectIds' | 'expireTime'>>,
): Promise<{ apiKey: ApiKey; secret: string }> {
  const { apiKey, secret } = await api.apiKeys.createApiKey({
    apiKey: keyMessage({ name: 'further', ...wanted }),
    requestId: randomUUID(),
  });
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
