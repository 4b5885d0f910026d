import type { Transaction } from '@silo/log/event-log.ts';
import { findAsOfNow } from '@silo/mongo/as-of-now.ts';
import { readLinearizable } from '@silo/mongo/linearizable.ts';
import { type Page, readPage } from '@silo/mongo/page.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import type { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { Db } from 'mongodb';
import type { MembershipDocument } from './documents.ts';

/** A page of members begins after this one. */
export type MemberPosition = { joinTime: Date; accountId: string };

const removedAtOnce = 1_000;

/** Opens the service's memberships. Each is of one account in one organization. */
export function createMemberStore(db: Db) {
  const members = db.collection<MembershipDocument>('memberships', collectionOptions);
  return {
    async insert(
      { session }: Transaction,
      membership: Omit<MembershipDocument, '_id'>,
    ): Promise<MembershipDocument> {
      const _id = membershipId(membership.accountId, membership.organizationId);
      const inserted = { _id, ...membership };
      await members.insertOne(inserted, { session });
      return inserted;
    },

    /** Writes a membership that this transaction has read. */
    async save({ session }: Transaction, membership: MembershipDocument): Promise<void> {
      await members.replaceOne({ _id: membership._id }, membership, { session });
    },

    async remove(
      { session }: Transaction,
      organizationId: string,
      accountId: string,
    ): Promise<void> {
      await members.deleteOne({ _id: membershipId(accountId, organizationId) }, { session });
    },

    /**
     * Removes members of a deleted organization, at most 1,000 of them, outside of a transaction.
     * Returns whether more may be left.
     */
    async removeSome(organizationId: string, signal: AbortSignal): Promise<boolean> {
      const options = { ...bounded, projection: { _id: 1 }, limit: removedAtOnce } as const;
      const found = await reading(members.find({ organizationId }, options).toArray(), signal);
      if (found.length === 0) return false;
      const ids = found.map(({ _id }) => _id);
      await reading(members.deleteMany({ _id: { $in: ids } }, bounded), signal);
      return found.length === removedAtOnce;
    },

    async findIn(
      { session }: Transaction,
      organizationId: string,
      accountId: string,
    ): Promise<MembershipDocument | undefined> {
      const _id = membershipId(accountId, organizationId);
      return (await members.findOne({ _id }, { session })) ?? undefined;
    },

    /** Returns the level by one linearizable read, for fact fetches. */
    async readFact(
      accountId: string,
      organizationId: string,
      signal: AbortSignal,
    ): Promise<Level | undefined> {
      const _id = membershipId(accountId, organizationId);
      return (await readLinearizable(members, { _id }, { signal }))?.level;
    },

    /**
     * Returns the levels of all members of these organizations, as of now, by account id, in
     * batches.
     */
    levelsIn(
      organizationIds: readonly string[],
      signal: AbortSignal,
    ): AsyncIterable<Pick<MembershipDocument, 'organizationId' | 'accountId' | 'level'>[]> {
      // The index contains all projected fields.
      const projection = { _id: 0, organizationId: 1, accountId: 1, level: 1 };
      const filter = { organizationId: { $in: [...organizationIds] } };
      return findAsOfNow(members, filter, { projection, sort: { accountId: 1 }, signal });
    },

    /** A page of the members of one organization, in the order in which they joined. */
    async listOfOrganization(
      organizationId: string,
      page: { after?: MemberPosition | undefined; size: number },
      signal: AbortSignal,
    ): Promise<Page<MembershipDocument>> {
      const { after, size } = page;
      const later = after && [
        { joinTime: { $gt: after.joinTime } },
        { joinTime: after.joinTime, accountId: { $gt: after.accountId } },
      ];
      const query = members
        .find({ organizationId, ...(later && { $or: later }) }, bounded)
        .sort({ joinTime: 1, accountId: 1 });
      return await readPage(query, size, signal);
    },

    /**
     * A page of one account's memberships by organization id, optionally only in the organizations
     * `among`.
     */
    async listOfAccount(
      accountId: string,
      page: {
        among?: readonly string[] | undefined;
        after?: string | undefined;
        size: number;
      },
      signal: AbortSignal,
    ): Promise<Page<MembershipDocument>> {
      const { among, after = '', size } = page;
      const organizationId = { $gt: after, ...(among && { $in: [...among] }) };
      const query = members
        .find({ accountId, organizationId }, bounded)
        .sort({ organizationId: 1 });
      return await readPage(query, size, signal);
    },
  };
}

function membershipId(accountId: string, organizationId: string): string {
  return `${accountId}/${organizationId}`;
}
