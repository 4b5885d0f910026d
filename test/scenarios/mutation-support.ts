import { randomUUID } from 'node:crypto';
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { createKey, join } from '../authorization/world.ts';
import type { PublicApi, SignedUp } from '../harness/clients.ts';
import type { TestSilo } from '../harness/silo.ts';
import { choosePlan, createOrganization, createProject, moveProject, present } from './support.ts';

/** One request that is ready to be sent: with this id, and in another form with the same id. */
export type Prepared = {
  /** The caller; undefined if no key calls. */
  by: Person | undefined;
  /** `api` is that of the caller's first key unless another is given. */
  call(requestId: string, api?: PublicApi): Promise<unknown>;
  other(requestId: string): Promise<unknown>;
  /** The organization whose membership permits the call. */
  organizationId?: string | undefined;
  /** An owner of it; default: the caller. */
  owner?: Person | undefined;
};

export type Person = Pick<SignedUp, 'account' | 'api'>;

/**
 * A mutation: how to reach the state in which it can be made, and the events that it must cause,
 * once.
 */
export type Mutation = { prepare(silo: TestSilo): Promise<Prepared>; events: string[] };

const { LEVEL_MEMBER } = Level;
export const etag = '';
export const updateMask = undefined;
export const email = () => `${randomUUID()}@example.com`;

/** A request that differs in one field only: first with the first value, then with the second. */
export function either<Value>(
  by: Person,
  values: [Value, Value],
  call: (value: Value, requestId: string, api: PublicApi) => Promise<unknown>,
  where: Pick<Prepared, 'organizationId' | 'owner'> = {},
): Prepared {
  const [first, second] = values;
  return {
    ...where,
    by,
    call: (requestId, api = by.api) => call(first, requestId, api),
    other: (requestId) => call(second, requestId, by.api),
  };
}

/** Like `either`, for a request that no key makes. */
export function eitherOf<Value>(
  values: [Value, Value],
  call: (value: Value, requestId: string) => Promise<unknown>,
): Prepared {
  const [first, second] = values;
  return {
    by: undefined,
    call: (requestId) => call(first, requestId),
    other: (requestId) => call(second, requestId),
  };
}

export const newAccount = () => ({ email: email(), displayName: 'New' });

export const foundingEvents = [
  'billing.subscription_created',
  'org.member_added',
  'org.organization_created',
  'project.created',
  'project.slots_changed',
  'token.created',
];

export const signingUpEvents = [...foundingEvents, 'org.account_created', 'token.key_created'];

export async function team(silo: TestSilo, level: Level = LEVEL_MEMBER) {
  const [ada, bob] = await Promise.all([silo.signUp('Ada'), silo.signUp('Bob')]);
  await join(ada, bob, level);
  return { ada, bob, organizationId: ada.organization.id };
}

export async function invited(silo: TestSilo) {
  const [ada, bob] = await Promise.all([silo.signUp('Ada'), silo.signUp('Bob')]);
  const organizationId = ada.organization.id;
  const { invite, code } = await ada.api.organizations.inviteMember({
    organizationId,
    email: bob.account.email,
    level: LEVEL_MEMBER,
    requestId: randomUUID(),
  });
  return { ada, bob, organizationId, inviteId: present(invite).id, code };
}

export async function upgraded(silo: TestSilo) {
  const ada = await silo.signUp('Ada');
  const organizationId = ada.organization.id;
  await choosePlan(ada.api, organizationId, Plan.PLAN_SCALE);
  return { ...ada, organizationId };
}

/** Two moves between organizations of one account. */
export async function moved(silo: TestSilo) {
  const { organizationId, ...ada } = await upgraded(silo);
  const { organizationId: destinationId } = await createOrganization(ada.api);
  await choosePlan(ada.api, destinationId);
  const move = async () => {
    const { id } = await createProject(ada.api, organizationId);
    return present((await moveProject(ada.api, id, destinationId)).move).id;
  };
  const moveIds: [string, string] = [await move(), await move()];
  return { ...ada, destinationId, moveIds };
}

export async function withKey(silo: TestSilo) {
  const ada = await silo.signUp('Ada');
  const { apiKey } = await createKey(ada.api, { scopes: ['*'] });
  return { ...ada, keyId: apiKey.id };
}
