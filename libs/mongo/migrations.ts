import { SiloError } from '@silo/errors/silo-error.ts';
import { systemSleep } from '@silo/runtime/clock.ts';
import { race } from '@silo/runtime/deadline.ts';
import type { Log } from '@silo/runtime/log.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import type { Collection, Db } from 'mongodb';
import { leaseOn } from './lease.ts';
import { bounded, collectionOptions, reading } from './read.ts';

/** One step from what an older release, or nobody, has left to what this release needs. */
export type Migration = {
  /** Unique among those of a service; a key of the record, so without dots. */
  name: string;
  /** Looks at the data, not at a record: a restored backup or an older process may undo a step. */
  isDone(db: Db): Promise<boolean>;
  /**
   * Runs while processes of this and of the last release serve. Safe to repeat after it was ended
   * anywhere, and beside itself: a process that was paused may still write.
   */
  run(db: Db, signal: AbortSignal): Promise<void>;
};

/** The lease, and when each step ran last. There is one such document in each database. */
type LockDocument = {
  _id: 'lock';
  owner: string;
  fence: number;
  until: Date;
  ran?: Record<string, Date>;
};

type Timing = { leaseMs: number; renewMs: number; pollMs: number };

type Options = {
  /** Names this process; new at every start. */
  owner: string;
  signal: AbortSignal;
  log: Log;
  /** By default the steps of a dead process are taken over within 20 s. */
  timing?: Timing;
};

const timingDefault: Timing = { leaseMs: 15_000, renewMs: 3_000, pollMs: 200 };

const pauseMaxMs = 5_000;

const lease = leaseOn('until');

/**
 * Returns when every migration is done. Where one is not, a single process at a time runs them, in
 * their order, by a lease on the database's clock; the others wait. Where all are done, it only
 * reads. Goes on after a failover.
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
    if (fence === undefined) return false; // another process runs them, perhaps for hours
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
  // In order: a look may need the indexes of an earlier step.
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

/** Runs what is not done while it holds the lease; returns early where it has lost it. */
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
    // It expires by itself.
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
