import { haveReached, laterOf, type Positions, sources } from '@silo/guard/core/position.ts';
import { isDuplicateKey } from '@silo/mongo/from-mongo.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import { coalesce } from '@silo/runtime/coalesce.ts';
import { limit } from '@silo/runtime/limit.ts';
import type { Db, Document, MongoClient, Timestamp } from 'mongodb';
import type { StoredLease } from '../registry/messages.ts';
import type { LeaseDocument, RequirementDocument } from './documents.ts';

/** The guards' leases and the requirement. Each operation is durable when it resolves. */
export type LeaseStore = ReturnType<typeof createLeaseStore>;

/**
 * Limit of concurrent statements about single leases. If the database is slow, every guard retries.
 * The retries must not use up the connections that users' calls need.
 */
const atOnce = 24;
/** Limit of statements that wait for their turn: one renewal each for this number of guards. */
const waitingMax = 5_000;

/** A renewal that waits for its turn. */
type WaitingRenewal = { acknowledged: Positions; leaseMs: number; isFound: Promise<boolean> };

/**
 * Opens the leases in the service's database until `signal`. Each operation is bounded. Concurrent
 * requests to raise the requirement, to read it or to list the leases share one statement, which
 * begins after all of them were made.
 */
export function createLeaseStore(client: MongoClient, db: Db, signal: AbortSignal) {
  const leases = db.collection<LeaseDocument>('guard_leases', collectionOptions);
  const requirements = db.collection<RequirementDocument>('requirements', collectionOptions);
  /** The requirement that this process knows to be durable. Requirements never fall. */
  let durable: Positions = {};
  let knownTime: Timestamp | undefined;
  const inTurn = limit({ atOnce, waitingMax });
  /** The waiting renewals, by owner and lease. */
  const renewals = new Map<string, WaitingRenewal>();

  /**
   * Runs a statement that sees everything that earlier such statements wrote or saw, whichever
   * server responds: a deposed primary cannot reach that time with a majority any more.
   */
  async function causally<T>(statement: (options: Causal) => Promise<T>): Promise<T> {
    const session = client.startSession({ causalConsistency: true });
    try {
      if (knownTime !== undefined) session.advanceOperationTime(knownTime);
      const result = await reading(statement({ ...bounded, session }), signal);
      const { operationTime } = session;
      if (operationTime && !knownTime?.greaterThan(operationTime)) knownTime = operationTime;
      return result;
    } finally {
      await session.endSession();
    }
  }
  type Causal = typeof bounded & { session: ReturnType<MongoClient['startSession']> };

  const raise = coalesce(async (requested: readonly Positions[]) => {
    const positions = requested.reduce(laterOf);
    if (haveReached(durable, positions)) return;
    await causally((options) => upsertRequirement(positions, options));
    durable = laterOf(durable, positions);
  });

  async function upsertRequirement(positions: Positions, options: Causal): Promise<void> {
    const write = () =>
      requirements.updateOne({ _id: 'required' }, [{ $set: laterFields(positions) }], {
        ...options,
        upsert: true,
      });
    try {
      await write();
    } catch (error) {
      if (!isDuplicateKey(error)) throw error;
      await write(); // another process has created the document
    }
  }

  async function writeRenewal(
    leaseId: string,
    owner: string | undefined,
    { acknowledged, leaseMs }: Omit<WaitingRenewal, 'isFound'>,
  ): Promise<boolean> {
    const version = { $add: ['$version', 1] };
    const longer = { $max: ['$leaseMs', leaseMs] };
    const later = laterFields(acknowledged, 'acknowledged.');
    const filter = { _id: leaseId, ...only({ owner }), ...held };
    const { matchedCount } = await causally((options) =>
      leases.updateOne(filter, [{ $set: { version, leaseMs: longer, ...later } }], options),
    );
    return matchedCount > 0;
  }

  const readRequired = coalesce(async (): Promise<Positions> => {
    const found = await causally((options) => requirements.findOne({ _id: 'required' }, options));
    return positionsOf(found ?? {});
  });

  const listAll = coalesce(async (): Promise<StoredLease[]> => {
    const found = await causally((options) =>
      leases.find(held, { ...options, batchSize: listBatch }).toArray(),
    );
    return found.map(toLease);
  });

  return {
    /**
     * Inserts a lease. Changes nothing if the id exists already, or was released. Returns whether
     * this owner has a lease with this id now.
     */
    async insert({ id, owner, ...lease }: StoredLease): Promise<boolean> {
      const filter = { _id: id, owner, ...held };
      const write = () =>
        leases.updateOne(filter, { $setOnInsert: lease }, { ...bounded, upsert: true });
      try {
        await inTurn(() => reading(write(), signal));
        return true;
      } catch (error) {
        if (!isDuplicateKey(error)) throw error;
      }
      // The same request ran twice concurrently, or the id belongs to another owner or was
      // released.
      const count = () => leases.countDocuments(filter, bounded);
      return (await inTurn(() => reading(count(), signal))) > 0;
    },

    /**
     * Increments the version, and keeps the later acknowledgements and the longer `leaseMs`. With
     * `owner`, requires that the lease belongs to this owner. Returns whether there is such a
     * lease. A renewal joins a waiting renewal of the same lease: a guard that retries does not
     * wait behind the calls that it has given up.
     */
    async renew(
      leaseId: string,
      owner: string | undefined,
      acknowledged: Positions,
      leaseMs: number,
    ): Promise<boolean> {
      const key = `${leaseId} ${owner}`;
      const waiting = renewals.get(key);
      if (waiting !== undefined) {
        waiting.acknowledged = laterOf(waiting.acknowledged, acknowledged);
        waiting.leaseMs = Math.max(waiting.leaseMs, leaseMs);
        return await waiting.isFound;
      }
      const { promise: isFound, resolve, reject } = Promise.withResolvers<boolean>();
      const renewal = { acknowledged, leaseMs, isFound };
      renewals.set(key, renewal);
      const write = async () => {
        renewals.delete(key);
        return await writeRenewal(leaseId, owner, renewal);
      };
      inTurn(write).then(resolve, (error: unknown) => {
        if (renewals.get(key) === renewal) renewals.delete(key);
        reject(error);
      });
      return await isFound;
    },

    /**
     * Returns the requirement at the time of this process's last renewal, or a later one. A
     * requirement that became durable before a renewal was sent precedes it in the database's one
     * order of majority writes, so this read sees it. The cost is one read; a linearizable read
     * would also write.
     */
    async readRequirement(): Promise<Positions> {
      return await readRequired(undefined);
    },

    /** Raises the requirement to the later of each position. */
    async raiseRequirement(positions: Positions): Promise<void> {
      await raise(positions);
    },

    /**
     * Returns all leases. A lease with a read lease below this process's requirement was written
     * before the requirement became durable, at whichever primary, because its renewal read the
     * requirement after that write. So every list that sees this process's own write contains it. A
     * list also sees what the previous list saw: a missing lease is gone and does not appear later.
     */
    async list(): Promise<StoredLease[]> {
      return await listAll(undefined);
    },

    /**
     * Ends a lease. With `owner`, requires that it belongs to this owner. The released id is kept,
     * because an `insert` that was sent before may be carried out later.
     */
    async release(leaseId: string, owner?: string): Promise<void> {
      const filter = { _id: leaseId, ...only({ owner }) };
      const update = { $currentDate: { releaseTime: true }, $setOnInsert: neverHeld } as const;
      const write = (upsert: boolean) =>
        inTurn(() => reading(leases.updateOne(filter, update, { ...bounded, upsert }), signal));
      try {
        await write(true);
      } catch (error) {
        if (!isDuplicateKey(error)) throw error;
        await write(false); // inserted since; nothing matches if another owner has the id
      }
    },

    /**
     * Deletes a lease. With `version`, only if it still has this version. Returns whether this call
     * deleted it.
     */
    async delete(leaseId: string, version?: number): Promise<boolean> {
      const filter = { _id: leaseId, ...only({ version }), ...held };
      const { deletedCount } = await inTurn(() =>
        reading(leases.deleteOne(filter, bounded), signal),
      );
      return deletedCount > 0;
    },
  };
}

/**
 * The fields of a lease that is released before it is inserted: older replicas read them from all
 * leases.
 */
const neverHeld = { guardName: '', version: 0, acknowledged: {}, leaseMs: 0 };

/** Selects leases that are not released. */
const held = { releaseTime: { $exists: false } };

/** Batch size of a list. A list of more guards takes several steps. */
const listBatch = 10_000;

/** Returns those fields of a filter that are given. */
function only(fields: { owner?: string | undefined; version?: number | undefined }): Document {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** Returns the fields of an update that moves each of these positions forward, and never back. */
function laterFields(positions: Positions, prefix = ''): Document {
  const fields: Document = {};
  for (const source of sources) {
    const position = positions[source];
    if (position === undefined) continue;
    const { incarnation, sequence } = position;
    const name = `${prefix}${source}`;
    const isLaterLife = { $lt: [{ $ifNull: [`$${name}.incarnation`, ''] }, incarnation] };
    const isSameLife = { $eq: [`$${name}.incarnation`, incarnation] };
    const isLater = { $and: [isSameLife, { $lt: [`$${name}.sequence`, sequence] }] };
    const next = { $literal: { incarnation, sequence } };
    fields[name] = { $cond: [{ $or: [isLaterLife, isLater] }, next, `$${name}`] };
  }
  return fields;
}

function toLease({ _id: id, acknowledged, ...lease }: LeaseDocument): StoredLease {
  return { id, ...lease, acknowledged: positionsOf(acknowledged) };
}

function positionsOf(stored: Positions): Positions {
  return laterOf({}, stored);
}
