import { SiloError } from '@silo/errors/silo-error.ts';
import { systemSleep } from '@silo/runtime/clock.ts';
import { race } from '@silo/runtime/deadline.ts';
import type { Log } from '@silo/runtime/log.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import type { Collection, Db } from 'mongodb';
import { leaseOn } from './lease.ts';
import { bounded, collectionOptions, reading } from './read.ts';

/**
 * One step from the data of an older release, or from an empty database, to what this release
 * needs.
 */
export type Migration = {
  /** Unique among the migrations of a service; a key of the record, so without dots. */
  name: string;
  /**
   * Checks the data rather than a record: a restored backup or an older process may undo a step.
   */
  isDone(db: Db): Promise<boolean>;
  /**
   * Runs while processes of this and of the last release serve. It must be safe to repeat after an
   * interruption at any point, and concurrently with itself, because a process that was paused may
   * still write.
   */
  run(db: Db, signal: AbortSignal): Promise<void>;
};

/** The lease, and the last run of each step. Each database has one such document. */
type LockDocument = {
  _id: 'lock';
  owner: string;
  fence: number;
  until: Date;
  ran?: Record<string, Date>;
};

type Timing = { leaseMs: number; renewMs: number; pollMs: number };

type Options = {
  /** Identifies this process; new at every start. */
  owner: string;
  signal: AbortSignal;
  log: Log;
  /** Default: the steps of a dead process are taken over within 20 s. */
  timing?: Timing;
};

const timingDefault: Timing = { leaseMs: 15_000, renewMs: 3_000, pollMs: 200 };

const pauseMaxMs = 5_000;

const lease = leaseOn('until');

/**
 * Returns when every migration is done. If one is not, a single process at a time runs them, in
 * order, under a lease on the database's clock; the others wait. If all are done, it only reads.
 * Continues after a failover.
 */
export async function migrate(
  db: Db,
  migrations: readonly Migration[],
  options: Options,
): Promise<void> {
  const { signal, timing = timingDefault } = options;
  const lock: Collection<LockDocument> = db.collection('migrations', collectionOptions);
  const attempt = async () => {
    if (await areDone(db, migrations, signal)) return true;
    const fence = await acquire(lock, options.owner, timing.leaseMs, signal);
    if (fence === undefined) return false; // another process runs them, possibly for hours
    await runHeld(db, migrations, { ...options, timing, lock, fence });
    return await areDone(db, migrations, signal);
  };
  for (let pauseMs = timing.pollMs; ; pauseMs = Math.min(2 * pauseMs, pauseMaxMs)) {
    try {
      if (await attempt()) return;
    } catch (error) {
      if (signal.aborted || !isUnavailable(error)) throw error;
      options.log.warn({ err: error }, 'migrations wait for MongoDB');
    }
    await systemSleep(pauseMs, signal);
  }
}

function isUnavailable(error: unknown): boolean {
  return error instanceof SiloError && error.reasonName === 'DEPENDENCY_UNAVAILABLE';
}

async function areDone(
  db: Db,
  migrations: readonly Migration[],
  signal: AbortSignal,
): Promise<boolean> {
  // In order, because a check may need the indexes of an earlier step.
  for (const { isDone } of migrations) {
    if (!(await reading(isDone(db), signal))) return false;
  }
  return true;
}

async function acquire(
  lock: Collection<LockDocument>,
  owner: string,
  leaseMs: number,
  signal: AbortSignal,
): Promise<number | undefined> {
  const free = { owner: '', fence: 0, until: new Date(0) };
  const options = { ...bounded, upsert: true };
  await reading(lock.updateOne({ _id: 'lock' }, { $setOnInsert: free }, options), signal);
  const acquired = lock.findOneAndUpdate(
    { _id: 'lock', ...lease.isFree },
    lease.acquire(owner, leaseMs),
    { ...bounded, returnDocument: 'after' },
  );
  return (await reading(acquired, signal))?.fence;
}

type Held = Options & { timing: Timing; lock: Collection<LockDocument>; fence: number };

/** Runs the pending migrations while it holds the lease; returns early if it has lost it. */
async function runHeld(db: Db, migrations: readonly Migration[], held: Held): Promise<void> {
  const { lock, fence, log } = held;
  const mine = { _id: 'lock', fence } as const;
  const over = new AbortController();
  const lost = new AbortController();
  const signal = AbortSignal.any([held.signal, lost.signal]);
  const renewing = renew(held, AbortSignal.any([signal, over.signal]), () => lost.abort());
  try {
    for (const { name, isDone, run } of migrations) {
      signal.throwIfAborted();
      if (await reading(isDone(db), signal)) continue;
      log.info({ migration: name }, 'migrating');
      await race(run(db, signal), signal);
      const ran = { $set: { [`ran.${name}`]: '$$NOW' } };
      await reading(lock.updateOne(mine, [ran], bounded), signal);
      log.info({ migration: name }, 'migrated');
    }
  } catch (error) {
    if (!lost.signal.aborted || held.signal.aborted) throw error;
    log.warn({ err: error }, 'another process took the migrations over');
  } finally {
    over.abort();
    await renewing;
    // If the release fails, the lease expires.
    await lock.updateOne(mine, lease.release(), bounded).catch(() => {});
  }
}

async function renew(
  { lock, fence, timing, log }: Held,
  signal: AbortSignal,
  onLost: () => void,
): Promise<void> {
  let last = performance.now();
  const { leaseMs, renewMs } = timing;
  await runForever({ name: 'renew-migrations', intervalMs: renewMs, signal, log }, async () => {
    const sent = performance.now();
    const isOver = () => performance.now() - last > leaseMs;
    try {
      const renewed = lock.updateOne({ _id: 'lock', fence }, lease.renew(leaseMs), bounded);
      const { matchedCount } = await reading(renewed, signal);
      if (matchedCount === 0 || isOver()) onLost();
      last = sent;
    } catch (error) {
      if (isOver()) onLost();
      throw error;
    }
  });
}
