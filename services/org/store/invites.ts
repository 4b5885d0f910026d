import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import type { ClientSession, Db, Filter } from 'mongodb';
import type { InviteDocument } from './documents.ts';

/** Opens the service's unaccepted invites. Expiry is judged by whoever reads one. */
export function createInviteStore(db: Db) {
  const invites = db.collection<InviteDocument>('invites', collectionOptions);

  async function removeWhere(
    session: ClientSession,
    filter: Filter<InviteDocument>,
  ): Promise<string[]> {
    const found = await invites.find(filter, { session, projection: { _id: 1 } }).toArray();
    const ids = found.map(({ _id }) => _id).sort();
    if (ids.length > 0) await invites.deleteMany({ _id: { $in: ids } }, { session });
    return ids;
  }

  return {
    async insert(session: ClientSession, invite: InviteDocument): Promise<void> {
      await invites.insertOne(invite, { session });
    },

    /** An organization's invite that has not expired. */
    async findOpenIn(
      session: ClientSession,
      organizationId: string,
      inviteId: string,
      now: Date,
    ): Promise<InviteDocument | undefined> {
      const filter = { _id: inviteId, organizationId, expireTime: { $gt: now } };
      return (await invites.findOne(filter, { session })) ?? undefined;
    },

    /** Whoever knows the code names the organization by it. */
    async findByCodeIn(
      session: ClientSession,
      codeHash: Uint8Array,
    ): Promise<InviteDocument | undefined> {
      return (await invites.findOne({ codeHash: Buffer.from(codeHash) }, { session })) ?? undefined;
    },

    async remove(session: ClientSession, organizationId: string, inviteId: string): Promise<void> {
      await invites.deleteOne({ _id: inviteId, organizationId }, { session });
    },

    /** Removes an organization's expired invites, and answers their ids. */
    async removeExpired(session: ClientSession, organizationId: string, now: Date) {
      return await removeWhere(session, { organizationId, expireTime: { $lte: now } });
    },

    /** Removes an organization's invites of one e-mail, and answers their ids. */
    async removeOfEmail(session: ClientSession, organizationId: string, comparableEmail: string) {
      return await removeWhere(session, { organizationId, comparableEmail });
    },

    /** Removes every invite of one organization. */
    async removeAll(session: ClientSession, organizationId: string): Promise<void> {
      await invites.deleteMany({ organizationId }, { session });
    },

    /** An organization's invites that have not expired, oldest first. */
    async listOpen(
      organizationId: string,
      page: { now: Date; after?: string | undefined; limit: number },
      signal: AbortSignal,
    ): Promise<InviteDocument[]> {
      const { now, after = '', limit } = page;
      const filter = { organizationId, _id: { $gt: after }, expireTime: { $gt: now } };
      const query = invites.find(filter, { ...bounded(signal), limit }).sort({ _id: 1 });
      return await reading(query.toArray());
    },
  };
}
