import { leaseOn } from '@silo/mongo/lease.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import { type Clock, systemClock } from '@silo/runtime/clock.ts';
import type { Log } from '@silo/runtime/log.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import type { Db } from 'mongodb';

const leaseMs = 6_000;
const renewMs = 1_500;
const timeMaxMs = 1_000;
/** Safety margin: the leader stops this long before its lease expires. */
const marginMs = 1_500;

type LeaseDocument = { _id: string; owner: string; fence: number; until: Date };

const lease = leaseOn('until');

/** One term of leadership. */
export type Leadership = {
  /** Grows with every change of leader, so that later writers can refuse earlier ones. */
  fence: number;
  /** Aborts when the lease is lost, or the process stops. */
  signal: AbortSignal;
};

type Options = {
  db: Db;
  /** The name of the work; each name has one leader. */
  name: string;
  /** Identifies this process; new at every start. */
  owner: string;
  signal: AbortSignal;
  log: Log;
  clock?: Clock;
  /** Timing of the lease; by default a dead leader is replaced within 6 s. */
  timing?: { leaseMs: number; renewMs: number; marginMs: number };
  /** The longest pause after failures; default 30 s. */
  capMs?: number;
};

/**
 * Runs `work` whenever this process is the leader, until the signal. The lease expires by the
 * database's clock; the leader counts a shorter time by its own monotonic clock. After a pause of a
 * process, two may lead for a moment, so their writes must be fenced or harmless. `work` must end
 * soon after its signal. A leader whose work ends or fails releases the lease and competes again.
 */
export async function lead(
  options: Options,
  work: (leadership: Leadership) => Promise<void>,
): Promise<void> {
  const { name, signal, log, timing, capMs } = options;
  const intervalMs = timing?.renewMs ?? renewMs;
  const pauses = { intervalMs, ...(capMs !== undefined && { capMs }) };
  await runForever({ name: `lead-${name}`, ...pauses, signal, log }, async () => {
    const term = new Term(options);
    await term.prepare();
    if (!(await term.acquire())) return;
    log.info({ name, fence: term.fence }, 'leading');
    try {
      await term.during(work);
    } finally {
      await term.release();
      log.info({ name, fence: term.fence }, 'no longer leading');
    }
  });
}

/**
 * Removes the leases of work that is over. A process that still competes for such a lease creates
 * it again, and has to remove it afterwards.
 */
export async function removeLeases(
  db: Db,
  names: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  await reading(leasesOf(db).deleteMany({ _id: { $in: [...names] } }, bounded), signal);
}

class Term {
  readonly #options: Options;
  readonly #clock: Clock;
  readonly #timing: { leaseMs: number; renewMs: number; marginMs: number };
  readonly #lost = new AbortController();
  #expiresMs = 0;
  fence = 0;

  constructor(options: Options) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#timing = options.timing ?? { leaseMs, renewMs, marginMs };
  }

  /** False if another process holds the lease. */
  async acquire(): Promise<boolean> {
    const { name, owner } = this.#options;
    const sentMs = this.#clock.monotonicMs();
    const acquired = await this.#leases().findOneAndUpdate(
      { _id: name, ...lease.isFree },
      lease.acquire(owner, this.#timing.leaseMs),
      { returnDocument: 'after', maxTimeMS: timeMaxMs },
    );
    if (acquired === null) return false;
    this.fence = acquired.fence;
    this.#expire(sentMs);
    return true;
  }

  /** False if another process has acquired the lease. */
  async renew(): Promise<boolean> {
    const sentMs = this.#clock.monotonicMs();
    const { matchedCount } = await this.#leases().updateOne(
      this.#held(),
      lease.renew(this.#timing.leaseMs),
      { maxTimeMS: timeMaxMs },
    );
    if (matchedCount === 0) return false;
    this.#expire(sentMs);
    return true;
  }

  /**
   * Creates the document that candidates compete for, which an update with `$expr` cannot create.
   */
  async prepare(): Promise<void> {
    const free = { owner: '', fence: 0, until: new Date(0) };
    await this.#leases().updateOne(
      { _id: this.#options.name },
      { $setOnInsert: free },
      { upsert: true, maxTimeMS: timeMaxMs },
    );
  }

  async during(work: (leadership: Leadership) => Promise<void>): Promise<void> {
    const signal = AbortSignal.any([this.#options.signal, this.#lost.signal]);
    const over = new AbortController();
    const renewing = this.#keep(AbortSignal.any([signal, over.signal]));
    try {
      await work({ fence: this.fence, signal });
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      over.abort();
      await renewing;
    }
  }

  async release(): Promise<void> {
    const { name, log } = this.#options;
    await this.#leases()
      .updateOne(this.#held(), lease.release(), { maxTimeMS: timeMaxMs })
      // If that fails, the lease expires.
      .catch((error) => log.warn({ name, err: error }, 'lease was not released'));
  }

  #expire(sentMs: number): void {
    const { leaseMs, marginMs } = this.#timing;
    this.#expiresMs = sentMs + leaseMs - marginMs;
  }

  #held() {
    const { name, owner } = this.#options;
    return { _id: name, owner, fence: this.fence };
  }

  async #keep(signal: AbortSignal): Promise<void> {
    const { name, log } = this.#options;
    const lose = () => this.#lost.abort(new DOMException(`no longer leads ${name}`, 'AbortError'));
    // A timer in addition, because a renewal that hangs must not extend the term.
    const loseInTime = () =>
      setTimeout(lose, Math.max(0, this.#expiresMs - this.#clock.monotonicMs()));
    let timer = loseInTime();
    const intervalMs = this.#timing.renewMs;
    let first = true;
    try {
      await runForever({ name: `renew-${name}`, intervalMs, signal, log }, async () => {
        if (first) {
          first = false;
          return;
        }
        if (!(await this.renew())) return lose();
        clearTimeout(timer);
        timer = loseInTime();
      });
    } finally {
      clearTimeout(timer);
    }
  }

  #leases() {
    return leasesOf(this.#options.db);
  }
}

function leasesOf(db: Db) {
  return db.collection<LeaseDocument>('leases', collectionOptions);
}
