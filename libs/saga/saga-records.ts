import { errors } from '@silo/errors/errors.ts';
import type { Transaction } from '@silo/log/event-log.ts';
import { isDuplicateKey } from '@silo/mongo/from-mongo.ts';
import { indexMigration } from '@silo/mongo/indexes.ts';
import { leaseOn } from '@silo/mongo/lease.ts';
import type { Migration } from '@silo/mongo/migrations.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import { retentionSeconds } from '@silo/mongo/retention.ts';
import { asTransient } from '@silo/mongo/transaction-retry.ts';
import type { ClientSession, Collection, Db, Filter } from 'mongodb';
import type { SagaRecord } from './definition.ts';

const maxTimeMS = 4_000;
const countMax = 1_000;
/** Time limit of a query over all sagas. */
const lookTimeMaxMs = 1_000;

export type Saga = SagaRecord<string, unknown>;

/** The stored form; the times are of the database's clock, and only compared with it. */
type StoredSaga = Saga & { ownerUntil: Date; createTime: Date; updateTime: Date };

/** Reads an end at once, because it is written with `w: 1`. */
const latest = { ...bounded, readConcern: { level: 'local' } } as const;

const projection = { ownerUntil: 0, createTime: 0, updateTime: 0 } as const;

/** The kind and state of a saga. */
export type SagaStep = Pick<Saga, 'kind' | 'state'>;

/** The parts of a saga without a running process that recovery needs. */
export type LeftSaga = SagaStep & Pick<Saga, '_id'>;

const lease = leaseOn('ownerUntil');
const isLeft: Filter<StoredSaga> = { open: true, ...lease.isFree };

/** The place of sagas that no process runs. */
export const leftSagas = { collection: 'sagas', filter: isLeft };

/** Indexes for the lock of open sagas, for sagas to resume, and for the expiry of finished ones. */
export const sagaMigrations: readonly Migration[] = [
  indexMigration('saga-indexes', {
    sagas: [
      { key: { lock: 1 }, unique: true, partialFilterExpression: { lock: { $type: 'string' } } },
      { key: { ownerUntil: 1 }, partialFilterExpression: { open: true } },
      {
        key: { updateTime: 1 },
        expireAfterSeconds: retentionSeconds.finishedSaga,
        partialFilterExpression: { open: false },
      },
    ],
  }),
];

/**
 * The number of open sagas by step, among the first 1,000, and how long the oldest of each has been
 * there, by the database's clock.
 */
export async function openSagas(
  db: Db,
): Promise<(SagaStep & { count: number; oldestMs: number })[]> {
  return await reading(
    db
      .collection<StoredSaga>('sagas', collectionOptions)
      .aggregate<SagaStep & { count: number; oldestMs: number }>(
        [
          // The second condition selects the partial index of open sagas.
          { $match: { open: true, ownerUntil: { $type: 'date' } } },
          { $limit: countMax },
          {
            $group: {
              _id: { kind: '$kind', state: '$state' },
              count: { $sum: 1 },
              oldestMs: { $max: { $subtract: ['$$NOW', '$updateTime'] } },
            },
          },
          { $project: { _id: 0, kind: '$_id.kind', state: '$_id.state', count: 1, oldestMs: 1 } },
        ],
        { maxTimeMS: lookTimeMaxMs },
      )
      .toArray(),
  );
}

/** The saga records of one service. An open saga belongs to one process at a time, by a lease. */
export class SagaRecords {
  readonly #collection: Collection<StoredSaga>;
  readonly #owner: string;
  readonly #leaseMs: number;

  constructor(db: Db, { owner, leaseMs }: { owner: string; leaseMs: number }) {
    this.#collection = db.collection<StoredSaga>('sagas', collectionOptions);
    this.#owner = owner;
    this.#leaseMs = leaseMs;
  }

  /**
   * Adds a saga that this process owns. Refuses with REQUEST_IN_PROGRESS if an open one has its
   * lock.
   */
  async add(tx: Transaction, saga: Omit<Saga, 'owner' | 'fence'>): Promise<Saga> {
    const record = { ...saga, owner: '', fence: 0 };
    try {
      // Not an insert, which cannot read the database's clock. No stored fence is 0, so this never
      // matches an existing saga.
      await this.#collection.updateOne(
        { _id: saga._id, fence: 0 },
        [
          { $replaceWith: { $literal: record } },
          ...lease.acquire(this.#owner, this.#leaseMs),
          { $set: { createTime: '$$NOW', updateTime: '$$NOW' } },
        ],
        { upsert: true, session: tx.session },
      );
    } catch (error) {
      if (!isDuplicateKey(error)) throw error;
      if (await this.#isTaken(saga)) throw errors.requestInProgress();
      // The other saga has ended since the transaction's snapshot.
      throw asTransient(error);
    }
    return { ...record, owner: this.#owner, fence: 1 };
  }

  /**
   * Whether this saga, or an open one with its lock, exists now, rather than in a transaction's
   * snapshot.
   */
  async #isTaken({ _id, lock }: Pick<Saga, '_id' | 'lock'>): Promise<boolean> {
    const filter = { $or: [{ _id }, ...(lock === undefined ? [] : [{ lock }])] };
    const found = this.#collection.findOne(filter, { ...latest, projection: { _id: 1 } });
    return (await reading(found)) !== null;
  }

  async find(id: string): Promise<Saga | null> {
    return await reading(this.#collection.findOne<Saga>({ _id: id }, { ...latest, projection }));
  }

  /** Acquires a saga that its owner has released, or whose owner is dead; null if there is none. */
  async claim({ _id, state }: LeftSaga): Promise<Saga | null> {
    return await reading(
      this.#collection.findOneAndUpdate(
        { _id, state, ...isLeft },
        lease.acquire(this.#owner, this.#leaseMs),
        { returnDocument: 'after', projection, ...bounded },
      ),
    );
  }

  /** Renews the lease of a saga that this process owns; otherwise does nothing. */
  async renew({ _id, fence }: Saga): Promise<void> {
    await this.#collection.updateOne(
      { _id, fence, owner: this.#owner, open: true },
      lease.renew(this.#leaseMs),
      { maxTimeMS: this.#leaseMs, writeConcern: { w: 1 } },
    );
  }

  /** Writes a transition; false if another process has acquired the saga. */
  async advance(
    { _id, fence, state }: Saga,
    after: Pick<Saga, 'state' | 'data' | 'open'>,
    session?: ClientSession,
  ): Promise<boolean> {
    const { open } = after;
    const write = this.#collection.updateOne(
      { _id, fence, state },
      [
        ...lease.renew(this.#leaseMs),
        {
          $set: {
            ...{ state: after.state, data: { $literal: after.data }, open },
            ...{ failures: 0, updateTime: '$$NOW' },
          },
        },
        ...(open ? [] : [{ $unset: 'lock' }]),
      ],
      session
        ? { session }
        : // If a failover loses the end, the last step runs again, which changes nothing.
          { maxTimeMS, ...(open ? {} : { writeConcern: { w: 1 } }) },
    );
    const { matchedCount } = await (session ? write : reading(write));
    return matchedCount === 1;
  }

  /** Releases a saga that this process owns for any process, after a pause. */
  async release(
    { _id, fence }: Saga,
    { failures, pauseMs }: { failures: number; pauseMs: number },
  ): Promise<void> {
    await this.#collection.updateOne(
      { _id, fence },
      [...lease.release(pauseMs), { $set: { failures } }],
      { maxTimeMS },
    );
  }

  /** The sagas at these steps that no process runs; those that were left longest come first. */
  async findLeft(steps: readonly SagaStep[], limit: number, signal: AbortSignal) {
    return await reading(
      this.#collection
        .find(
          { ...isLeft, $or: [...steps] },
          {
            projection: { kind: 1, state: 1 },
            ...{ sort: { ownerUntil: 1 }, limit, ...bounded },
          },
        )
        .toArray(),
      signal,
    );
  }

  /** The number of sagas that no process runs, by step, except those at these steps. */
  async groupLeft(except: readonly SagaStep[], signal: AbortSignal) {
    return await reading(
      this.#collection
        .aggregate<{ _id: SagaStep; count: number }>(
          [
            { $match: { ...isLeft, $nor: except } },
            { $limit: countMax },
            { $group: { _id: { kind: '$kind', state: '$state' }, count: { $sum: 1 } } },
          ],
          bounded,
        )
        .toArray(),
      signal,
    );
  }
}
