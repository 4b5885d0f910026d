import type { Transaction } from '@silo/log/event-log.ts';
import { type Page, readPage } from '@silo/mongo/page.ts';
import { bounded, collectionOptions } from '@silo/mongo/read.ts';
import type { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { Db, Filter } from 'mongodb';
import type { InviteDocument } from './documents.ts';

/** The transaction of a statement. */
type InTransaction = Pick<Transaction, 'session'>;

/** The id of an invite and of its organization. */
export type InviteName = { id: string; organizationId: string };

/**
 * Opens the service's unaccepted invites. Readers check the expiry themselves; an expired invite is
 * removed by a TTL index.
 */
export function createInviteStore(db: Db) {
  const invites = db.collection<InviteDocument>('invites', collectionOptions);

  async function findNames({ session }: InTransaction, filter: Filter<InviteDocument>, limit = 0) {
    const options = {
      session,
      projection: { organizationId: 1 },
      sort: { _id: 1 },
      limit,
    } as const;
    const found = await invites.find(filter, options).toArray();
    return found.map(({ _id: id, organizationId }): InviteName => ({ id, organizationId }));
  }

  async function removeMany(
    { session }: InTransaction,
    names: readonly InviteName[],
  ): Promise<void> {
    if (names.length === 0) return;
    await invites.deleteMany({ _id: { $in: names.map(({ id }) => id) } }, { session });
  }

  /**
   * Removes the matching invites of one organization. Its limit of open invites bounds their
   * number.
   */
  async function removeWhere({ session }: InTransaction, filter: Filter<InviteDocument>) {
    const names = await findNames({ session }, filter);
    await removeMany({ session }, names);
    return names;
  }

  return {
    async insert({ session }: InTransaction, invite: InviteDocument): Promise<void> {
      await invites.insertOne(invite, { session });
    },

    /** An organization's invite that has not expired. */
    async findOpenIn(
      { session }: InTransaction,
      organizationId: string,
      inviteId: string,
      now: Date,
    ): Promise<InviteDocument | undefined> {
      const filter = { _id: inviteId, organizationId, expireTime: { $gt: now } };
      return (await invites.findOne(filter, { session })) ?? undefined;
    },

    /** Finds an invite by its code alone: the code also determines the organization. */
    async findByCodeIn(
      { session }: InTransaction,
      codeHash: Uint8Array,
    ): Promise<InviteDocument | undefined> {
      return (await invites.findOne({ codeHash: Buffer.from(codeHash) }, { session })) ?? undefined;
    },

    async remove(
      { session }: InTransaction,
      organizationId: string,
      inviteId: string,
    ): Promise<void> {
      await invites.deleteOne({ _id: inviteId, organizationId }, { session });
    },

    /** Returns the number of an organization's invites that have not expired. */
    async countOpen(
      { session }: InTransaction,
      organizationId: string,
      now: Date,
    ): Promise<number> {
      const filter = { organizationId, expireTime: { $gt: now } };
      return await invites.countDocuments(filter, { session });
    },

    /** Removes an organization's invites for one e-mail. */
    async removeOfEmail(
      { session }: InTransaction,
      organizationId: string,
      comparableEmail: string,
    ) {
      return await removeWhere({ session }, { organizationId, comparableEmail });
    },

    /**
     * Removes an organization's invites for one e-mail, and the inviter's invites above the level.
     */
    async removeOfMember(
      { session }: InTransaction,
      organizationId: string,
      ended: { comparableEmail: string; inviterAccountId: string; aboveLevel: Level },
    ) {
      const { comparableEmail, inviterAccountId, aboveLevel } = ended;
      const made = { inviterAccountId, level: { $gt: aboveLevel } };
      return await removeWhere({ session }, { organizationId, $or: [{ comparableEmail }, made] });
    },

    /** Returns the invites for these e-mails in all organizations, at most `limit` of them. */
    async findOfEmails(
      { session }: InTransaction,
      comparableEmails: readonly string[],
      limit: number,
    ) {
      return await findNames(
        { session },
        { comparableEmail: { $in: [...comparableEmails] } },
        limit,
      );
    },

    removeMany,

    /** Removes every invite of one organization. */
    async removeAll({ session }: InTransaction, organizationId: string): Promise<void> {
      await invites.deleteMany({ organizationId }, { session });
    },

    /** A page of an organization's invites that have not expired, oldest first. */
    async listOpen(
      organizationId: string,
      page: { now: Date; after?: string | undefined; size: number },
      signal: AbortSignal,
    ): Promise<Page<InviteDocument>> {
      const { now, after = '', size } = page;
      const filter = { organizationId, _id: { $gt: after }, expireTime: { $gt: now } };
      return await readPage(invites.find(filter, bounded).sort({ _id: 1 }), size, signal);
    },
  };
}
