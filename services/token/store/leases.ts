import { haveReached, laterOf, type Positions, sources } from '@silo/guard/core/position.ts';
import { isDuplicateKey } from '@silo/mongo/from-mongo.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import { coalesce } from '@silo/runtime/coalesce.ts';
import { limit } from '@silo/runtime/limit.ts';
import type { Db, Document, MongoClient, Timestamp } from 'mongodb';
import type { StoredLease } from '../registry/messages.ts';
import type { LeaseDocument, RequirementDocument } from './documents.ts';

/** The guards' leases, and what is required of them. Each operation is durable when it resolves. */
export type LeaseStore = ReturnType<typeof createLeaseStore>;

/**
 * Statements about one lease that run at once. When the database is slow every guard retries,
 * and they must not take the pool's connections from the calls of people.
 */
const atOnce = 24;
/** As many guards as that may wait for their turn, with one renewal each. */
const waitingMax = 5_000;

/** A renewal that waits for its turn. */
type WaitingRenewal = { acknowledged: Positions; leaseMs: number; isFound: Promise<boolean> };

/**
 * Opens the leases in the service's database. Until `signal`; each operation is bounded.
 * Requirements and lists requested at the same time share one statement, which begins after all of
 * them were.
 */
export function createLeaseStore(client: MongoClient, db: Db, signal: AbortSignal) {
  const leases = db.collection<LeaseDocument>('guard_leases', collectionOptions);
  const requirements = db.collection<RequirementDocument>('requirements', collectionOptions);
  /** Required for good, as this process knows: requirements never fall. */
  let durable: Positions = {};
  let knownTime: Timestamp | undefined;
  const inTurn = limit({ atOnce, waitingMax });
  /** By owner and lease. */
  const renewals = new Map<string, WaitingRenewal>();

  /**
   * Runs a statement that sees everything that an earlier one of these wrote or saw, whichever
   * server answers: a primary that was deposed cannot reach that time at a majority any more.
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
      await write(); // another process made the document meanwhile
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
     * A new lease; changes nothing if there is one of that id, or was one that is released. Whether
     * there is one of this owner now.
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
      // The same request, twice at once; or the id is another's, or released.
      const count = () => leases.countDocuments(filter, bounded);
      return (await inTurn(() => reading(count(), signal))) > 0;
    },

    /**
     * Version + 1, and the later or longer of the rest; with `owner`, only if the lease is theirs.
     * Whether there is such a lease. A renewal joins one of the same lease that waits for its turn: a guard
     * that repeats its own does not wait behind those that it has given up.
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
     * What was required when this process's last renewal was written, or since: whatever became
     * durable before a renewal was sent has an earlier place in the database's one order of
     * majority writes, and is seen. Costs a read; a linearizable one would write.
     */
    async readRequirement(): Promise<Positions> {
      return await readRequired(undefined);
    },

    /** Requires the later of each position. */
    async raiseRequirement(positions: Positions): Promise<void> {
      await raise(positions);
    },

    /**
     * All leases. A lease whose read lease lacks what this process has required was written before that
     * became required, at whichever primary: its renewal read the requirement afterwards. So it is
     * in every list that sees this process's own write. A list also sees what the one before saw:
     * a lease that is missing is gone, not yet to come.
     */
    async list(): Promise<StoredLease[]> {
      return await listAll(undefined);
    },

    /**
     * Ends a lease; with `owner`, only if it is theirs. That it is released is kept: an `insert` that
     * was sent before may be carried out after this.
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
        await write(false); // inserted meanwhile; or the id is another's, and nothing matches
      }
    },

    /** Deletes a lease; with `version`, only if it still has that. Whether it is gone by this. */
    async delete(leaseId: string, version?: number): Promise<boolean> {
      const filter = { _id: leaseId, ...only({ version }), ...held };
      const { deletedCount } = await inTurn(() =>
        reading(leases.deleteOne(filter, bounded), signal),
      );
      return deletedCount > 0;
    },
  };
}

/** A lease that is released before it is inserted: older replicas read these fields of all leases. */
const neverHeld = { guardName: '', version: 0, acknowledged: {}, leaseMs: 0 };

/** Which documents are leases that are not released. */
const held = { releaseTime: { $exists: false } };

/** More guards than that are listed in several steps. */
const listBatch = 10_000;

/** The fields that a filter demands: those that are given. */
function only(fields: { owner?: string | undefined; version?: number | undefined }): Document {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** The fields of an update that moves each of these positions forward, and none back. */
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
