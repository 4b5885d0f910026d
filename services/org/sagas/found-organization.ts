import type { Transaction } from '@silo/log/event-log.ts';
import type { SagaRecord, StepContext } from '@silo/saga/definition.ts';
import type { Peers } from '@silo/service/peers.ts';
import { memberAdded, organizationCreated } from '../events.ts';
import { firstMembership, newOrganization } from '../rules/founding.ts';
import type { Stores } from '../store/set-up.ts';

/** What every new organization comes with, and what its steps learn. Every id was made before. */
export type Founding = {
  accountId: string;
  organizationId: string;
  organizationName: string;
  /** Of its Default Project. */
  projectId: string;
  createTime: Date;
  /** How many projects the first plan allows; absent: no limit. */
  limit?: number | undefined;
  /** Whether the first plan has migrations; absent: a record of the release before does not say. */
  migrations?: boolean | undefined;
  /** The Default Project's token, as soon as it is made. */
  projectToken?: string | undefined;
};

type FoundingSaga = Pick<SagaRecord<string, Founding>, '_id' | 'actor' | 'data'>;

/** What the steps call. */
export type FoundingPeers = Pick<Peers, 'billing' | 'project' | 'token'>;

/** Writes an organization with its owner in the deciding transaction. */
export async function foundOrganization(
  stores: Stores,
  tx: Transaction,
  founding: Founding,
  actor: string,
): Promise<void> {
  const stamp = { actor, time: tx.now };
  const organization = newOrganization(founding);
  await stores.organizations.insert(tx, organization);
  const owner = await stores.members.insert(tx, firstMembership(founding));
  tx.emit(organizationCreated(organization, owner.accountId, stamp));
  tx.emit(memberAdded(owner, stamp));
}

/** Opens the subscription, which says how many projects there may be. */
export async function openSubscription(
  { billing }: FoundingPeers,
  { _id: correlationId, actor, data: { organizationId } }: FoundingSaga,
  { signal }: StepContext,
): Promise<Pick<Founding, 'limit' | 'migrations'>> {
  const request = { organizationId, actor, correlationId };
  const { limit, migrations } = await billing.subscriptions.openSubscription(request, { signal });
  return { limit, migrations };
}

/** Opens the slots, together with the Default Project. */
export async function openSlots(
  { project }: FoundingPeers,
  { _id: correlationId, actor, data }: FoundingSaga,
  { signal }: StepContext,
): Promise<void> {
  const { organizationId, projectId: defaultProjectId, limit, migrations } = data;
  const ids = { organizationId, defaultProjectId, correlationId };
  const request = { ...ids, limit, migrations, actor };
  await project.slots.openSlots(request, { signal });
}

/** Makes the Default Project's token. */
export async function makeProjectToken(
  { token }: FoundingPeers,
  { _id: correlationId, actor, data: { projectId } }: FoundingSaga,
  { signal }: StepContext,
): Promise<Pick<Founding, 'projectToken'>> {
  const request = { projectId, actor, correlationId };
  return { projectToken: (await token.secrets.makeProjectToken(request, { signal })).token };
}
