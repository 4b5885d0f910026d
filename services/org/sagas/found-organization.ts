import type { Transaction } from '@silo/log/event-log.ts';
import type { SagaRecord, StepContext } from '@silo/saga/definition.ts';
import type { Peers } from '@silo/service/peers.ts';
import { memberAdded, organizationCreated } from '../events.ts';
import { firstMembership, newOrganization } from '../rules/founding.ts';
import type { Stores } from '../store/set-up.ts';

/**
 * The data of a new organization's saga: ids, all generated before the first write, and the results
 * of its steps.
 */
export type Founding = {
  accountId: string;
  organizationId: string;
  organizationName: string;
  /** The id of the Default Project. */
  projectId: string;
  createTime: Date;
  /** Limit of projects of the first plan; absent: no limit. */
  limit?: number | undefined;
  /** Whether the first plan allows migrations; absent in a record of the previous release. */
  migrations?: boolean | undefined;
  /** The Default Project's token; absent until it is created. */
  projectToken?: string | undefined;
};

type FoundingSaga = Pick<SagaRecord<string, Founding>, '_id' | 'actor' | 'data'>;

/** The services that the steps call. */
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

/** Opens the subscription. Returns the limits of its plan. */
export async function openSubscription(
  { billing }: FoundingPeers,
  { _id: correlationId, actor, data: { organizationId } }: FoundingSaga,
  { signal }: StepContext,
): Promise<Pick<Founding, 'limit' | 'migrations'>> {
  const request = { organizationId, actor, correlationId };
  const { limit, migrations } = await billing.subscriptions.openSubscription(request, { signal });
  return { limit, migrations };
}

/** Opens the slots and creates the Default Project. */
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

/** Creates the Default Project's token. */
export async function makeProjectToken(
  { token }: FoundingPeers,
  { _id: correlationId, actor, data: { projectId } }: FoundingSaga,
  { signal }: StepContext,
): Promise<Pick<Founding, 'projectToken'>> {
  const request = { projectId, actor, correlationId };
  return { projectToken: (await token.secrets.makeProjectToken(request, { signal })).token };
}
