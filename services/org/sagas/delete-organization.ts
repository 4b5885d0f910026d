import { errors } from '@silo/errors/errors.ts';
import type { Transaction } from '@silo/log/event-log.ts';
import { forgetRequest } from '@silo/log/forget-request.ts';
import {
  type TryCloseSlotsResponse,
  TryResult,
} from '@silo/protos/gen/silo/project/internal/v1/slot_service.ts';
import type { SagaDefinition } from '@silo/saga/definition.ts';
import type { Peers } from '@silo/service/peers.ts';
import { organizationDeleted } from '../events.ts';
import type { Stores } from '../store/set-up.ts';

/** The intent to delete an organization, and the result of its conditional change. */
export type Deletion = {
  organizationId: string;
  /** Increases with each intent to delete this organization. */
  revision: number;
  /** The account on whose behalf the organization is deleted. */
  accountId: string;
  keyHash: Uint8Array;
  /** `RequestIdentity.key` of the request, whose record is removed if the deletion is refused. */
  requestKey?: Uint8Array | undefined;
  /** Whether deleted projects that could still be undeleted may be lost. */
  endDeletedProjects?: boolean | undefined;
  /**
   * Result of the conditional change, and the numbers of projects and deleted projects that
   * prevented it.
   */
  result?: TryResult | undefined;
  count?: number | undefined;
  deletedCount?: number | undefined;
};

/** Limit of the batches of memberships that one step removes, so that it ends in time. */
const batchesMax = 10;

type DeleteOrganizationState = 'trying' | 'refused' | 'removing' | 'closing' | 'done';
export type DeleteOrganizationSaga = SagaDefinition<DeleteOrganizationState, Deletion>;

/** The lock that allows one open deletion of an organization at a time. */
export function deletionLock(organizationId: string): string {
  return `delete-organization:${organizationId}`;
}

/**
 * A conditional change at project closes the slots; there it is decided whether projects exist. The
 * later steps carry out an accepted deletion and check nothing again.
 */
export function defineDeleteOrganization(
  stores: Stores,
  { project, billing }: Pick<Peers, 'project' | 'billing'>,
): DeleteOrganizationSaga {
  return {
    kind: 'delete-organization',
    transitions: {
      trying: ['refused', 'removing'],
      removing: ['removing', 'closing'],
      closing: ['done'],
      refused: [],
      done: [],
    },
    steps: {
      trying: async ({ _id: correlationId, actor, data }, { signal }) => {
        const { organizationId, revision, accountId, requestKey } = data;
        const keyHash = Buffer.from(data.keyHash);
        const onBehalfOf = { accountId, keyHash, correlationId };
        const { endDeletedProjects = false } = data;
        const request = { organizationId, revision, onBehalfOf, endDeletedProjects };
        const outcome = outcomeOf(await project.slots.tryCloseSlots(request, { signal }));
        if (outcome.result !== TryResult.TRY_RESULT_ACCEPTED) {
          return {
            next: 'refused',
            data: outcome,
            commit: async (tx) => {
              if (requestKey !== undefined) await forgetRequest(tx, requestKey);
            },
          };
        }
        return {
          next: 'removing',
          data: outcome,
          commit: (tx) => deleteOrganization(stores, tx, { organizationId, actor }),
        };
      },
      // The organization is deleted, so these memberships grant no access any more.
      removing: async ({ data }, { signal }) => {
        for (let batch = 0; batch < batchesMax; batch++) {
          const mayBeMore = await stores.members.removeSome(data.organizationId, signal);
          if (!mayBeMore) return { next: 'closing' };
        }
        return { next: 'removing' };
      },
      closing: async ({ _id: correlationId, actor, data }, { signal }) => {
        const request = { organizationId: data.organizationId, actor, correlationId };
        await billing.subscriptions.closeSubscription(request, { signal });
        return { next: 'done' };
      },
    },
  };
}

function outcomeOf({ outcome }: TryCloseSlotsResponse) {
  const { result, count = 0, deletedCount = 0 } = outcome ?? {};
  switch (result) {
    case TryResult.TRY_RESULT_ACCEPTED:
    case TryResult.TRY_RESULT_REFUSED_COUNT:
    case TryResult.TRY_RESULT_REFUSED_ACCESS:
    case TryResult.TRY_RESULT_REFUSED_LATE:
      return { result, count, deletedCount };
    default:
      // The response has no result, or one of a newer release. A release that knows it will decide.
      throw errors.dependencyUnavailable('project');
  }
}

/**
 * Ends the organization with all its memberships and invites, by one event. The step `removing`
 * removes the memberships, because one transaction could not remove a large number of them in time.
 */
async function deleteOrganization(
  stores: Stores,
  tx: Transaction,
  { organizationId, actor }: { organizationId: string; actor: string },
): Promise<void> {
  const before = await stores.organizations.findIn(tx, organizationId);
  if (before === undefined) throw new TypeError(`${organizationId} to be deleted does not exist`);
  const after = {
    ...before,
    ownerCount: 0,
    memberCount: 0,
    memberRevision: before.memberRevision + 1,
    revision: before.revision + 1,
    updateTime: tx.now,
    deleteTime: tx.now,
  };
  await stores.organizations.save(tx, after);
  await stores.invites.removeAll(tx, organizationId);
  tx.emit(organizationDeleted(after, { actor, time: tx.now }));
}
