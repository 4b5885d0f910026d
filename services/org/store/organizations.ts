import type { Transaction } from '@silo/log/event-log.ts';
import { readLinearizable } from '@silo/mongo/linearizable.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import type { Db } from 'mongodb';
import type { OrganizationDocument } from './documents.ts';

const open = { deleteTime: { $exists: false } } as const;

/**
 * Opens the service's organizations. Finds only open ones; the document of a deleted one is kept.
 */
export function createOrganizationStore(db: Db) {
  const organizations = db.collection<OrganizationDocument>('organizations', collectionOptions);
  return {
    async insert({ session }: Transaction, organization: OrganizationDocument): Promise<void> {
      await organizations.insertOne(organization, { session });
    },

    /** Writes an organization that this transaction has read. */
    async save({ session }: Transaction, organization: OrganizationDocument): Promise<void> {
      await organizations.replaceOne({ _id: organization._id }, organization, { session });
    },

    /** Makes this transaction conflict with every other change of members or invites. */
    async noteInviteChange({ session }: Transaction, organizationId: string): Promise<void> {
      const change = { $inc: { inviteRevision: 1 } };
      await organizations.updateOne({ _id: organizationId, ...open }, change, { session });
    },

    async find(
      organizationId: string,
      signal: AbortSignal,
    ): Promise<OrganizationDocument | undefined> {
      const found = await reading(
        organizations.findOne({ _id: organizationId, ...open }, bounded),
        signal,
      );
      return found ?? undefined;
    },

    async findMany(
      organizationIds: readonly string[],
      signal: AbortSignal,
    ): Promise<Map<string, OrganizationDocument>> {
      const filter = { _id: { $in: [...organizationIds] }, ...open };
      const found = await reading(organizations.find(filter, bounded).toArray(), signal);
      return new Map(found.map((organization) => [organization._id, organization]));
    },

    async findIn(
      { session }: Transaction,
      organizationId: string,
    ): Promise<OrganizationDocument | undefined> {
      const found = await organizations.findOne({ _id: organizationId, ...open }, { session });
      return found ?? undefined;
    },

    /** Returns the document of an open organization by one linearizable read, for fact fetches. */
    async readFact(
      organizationId: string,
      signal: AbortSignal,
    ): Promise<OrganizationDocument | undefined> {
      const found = await readLinearizable(organizations, { _id: organizationId }, { signal });
      return found === null || found.deleteTime !== undefined ? undefined : found;
    },
  };
}
