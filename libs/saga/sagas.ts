import { status } from '@grpc/grpc-js';
import { errors } from '@silo/errors/errors.ts';
import { isServiceError } from '@silo/errors/from-status.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import type { EventLog, Transaction } from '@silo/log/event-log.ts';
import { systemSleep } from '@silo/runtime/clock.ts';
import { race, withDeadline } from '@silo/runtime/deadline.ts';
import { forgetOldest } from '@silo/runtime/forget-oldest.ts';
import { equalJitterMs } from '@silo/runtime/random.ts';
import { retry } from '@silo/runtime/retry.ts';
import type { Db } from 'mongodb';
import type { Logger } from 'pino';
import { checkDefinition, isFinal, type SagaDefinition, type SagaRecord } from './definition.ts';
import { Recovery } from './recovery.ts';
import { type LeftSaga, type Saga, SagaRecords, type SagaStep } from './saga-records.ts';

/**
 * The lease of a saga's owner, and how often the owner renews it. Short, because a repeat of the
 * request waits for a dead owner this long. An owner that was only slow finds its writes fenced,
 * and then waits, too.
 */
const usualTiming = { leaseMs: 1_500, renewMs: 500 };
const stepDeadlineMs = 4_000;
const stepAttemptsMax = 3;
const backoffCapMs = 30_000;
/** Number of started sagas that are kept in memory until they are finished. */
const begunMax = 1_000;

/**
 * The pause of a repeat before it checks another process's saga again: it grows with the time that
 * it has waited.
 */
const lookAgain = { minMs: 200, maxMs: 2_000, growth: 1.25 };

type AnyDefinition = SagaDefinition<string, unknown>;

/** A run in this process, and the number of calls that await it. */
type Run = { waiting: number; readonly ended: Promise<Saga> };

/** The parameters with which a saga begins. */
type Beginning<Data> = {
  id: string;
  data: Data;
  actor: string;
  /** At most one open saga has this lock; another one is refused with REQUEST_IN_PROGRESS. */
  lock?: string;
};

/** One service's durable sagas. */
export type Sagas = {
  /** Writes the record in the deciding transaction. Refuses with REQUEST_IN_PROGRESS. */
  begin<State extends string, Data>(
    tx: Transaction,
    definition: SagaDefinition<State, Data>,
    beginning: Beginning<Data>,
  ): Promise<void>;
  /**
   * Runs a saga to its end, or awaits its run, and returns its final record. Refuses with
   * REQUEST_IN_PROGRESS if the signal aborts; the saga continues.
   */
  finish<State extends string, Data>(
    definition: SagaDefinition<State, Data>,
    id: string,
    signal: AbortSignal,
  ): Promise<SagaRecord<State, Data>>;
  /**
   * Resumes, until the signal, sagas that other processes left, except those that only a newer
   * release knows.
   */
  resume(signal: AbortSignal): Promise<void>;
  /** Open sagas that no process runs and this release does not know, at the last count. */
  readonly unknown: number;
};

type Options = {
  db: Db;
  eventLog: EventLog;
  /** Identifies this process among the owners; new at every start. */
  owner: string;
  log: Logger;
  definitions: readonly SagaDefinition<never, never>[];
  /** Ends after the last call: a run may outlive the call that started it, but not the process. */
  signal: AbortSignal;
  /** Resolves when a saga may be left at `leftSagas`, or after a while; default: after a second. */
  untilLeft?: (signal: AbortSignal) => Promise<void>;
  /** For tests. */
  timing?: { leaseMs: number; renewMs: number; recoverMs?: number; stepDeadlineMs?: number };
};

/** Makes the runner of one service's sagas. */
export function createSagas(options: Options): Sagas {
  return new Runner(options);
}

class Runner implements Sagas {
  readonly #options: Options;
  readonly #renewMs: number;
  readonly #stepDeadlineMs: number;
  readonly #records: SagaRecords;
  readonly #definitions = new Map<string, AnyDefinition>();
  /** Runs of this process by saga id: a request for the same saga joins its run. */
  readonly #running = new Map<string, Run>();
  /** The records of sagas that began here: they are known to be committed. */
  readonly #begun = new Map<string, Saga>();
  readonly #recovery: Recovery;

  constructor(options: Options) {
    this.#options = options;
    const { db, owner, timing = usualTiming } = options;
    this.#renewMs = timing.renewMs;
    this.#stepDeadlineMs = options.timing?.stepDeadlineMs ?? stepDeadlineMs;
    this.#records = new SagaRecords(db, { owner, leaseMs: timing.leaseMs });
    for (const definition of options.definitions) {
      checkDefinition(definition);
      this.#definitions.set(definition.kind, definition as unknown as AnyDefinition);
    }
    this.#recovery = new Recovery({
      ...{ records: this.#records, log: options.log },
      definitions: this.#definitions,
      takeUp: (saga) => this.#takeUp(saga),
      intervalMs: options.timing?.recoverMs,
      untilLeft: options.untilLeft,
    });
  }

  async begin<State extends string, Data>(
    tx: Transaction,
    definition: SagaDefinition<State, Data>,
    { id, data, actor, lock }: Beginning<Data>,
  ): Promise<void> {
    const [first] = Object.keys(definition.transitions);
    if (first === undefined) throw new TypeError(`saga ${definition.kind} has no states`);
    const record = await this.#records.add(tx, {
      ...{ _id: id, kind: definition.kind, state: first, data, actor },
      ...{ open: true, failures: 0, ...(lock !== undefined && { lock }) },
    });
    this.#begun.set(id, record);
    forgetOldest(this.#begun, begunMax);
  }

  async finish<State extends string, Data>(
    definition: SagaDefinition<State, Data>,
    id: string,
    signal: AbortSignal,
  ): Promise<SagaRecord<State, Data>> {
    try {
      const record = await this.#join(id, signal);
      if (record.kind !== definition.kind) throw new TypeError(`saga ${id} is a ${record.kind}`);
      return record as SagaRecord<State, Data>;
    } catch (error) {
      if (signal.aborted && !(error instanceof SiloError)) throw errors.requestInProgress();
      throw error;
    }
  }

  get unknown(): number {
    return this.#recovery.unknown;
  }

  async resume(signal: AbortSignal): Promise<void> {
    await this.#recovery.run(signal);
    // Sagas that the end of the process interrupts are released first.
    await Promise.allSettled([...this.#running.values()].map(({ ended }) => ended));
  }

  async #takeUp(saga: LeftSaga): Promise<void> {
    if (this.#running.has(saga._id)) return;
    const claimed = await this.#records.claim(saga);
    if (claimed === null) return; // Another process acquired it first.
    this.#begun.delete(saga._id);
    // Also if a call here has begun to wait for it, because that call may end.
    await this.#join(saga._id, this.#options.signal, claimed);
  }

  #isKnown({ kind, state }: SagaStep): boolean {
    const definition = this.#definitions.get(kind);
    return definition !== undefined && Object.hasOwn(definition.transitions, state);
  }

  async #join(id: string, signal: AbortSignal, claimed?: Saga): Promise<Saga> {
    const run = this.#running.get(id) ?? this.#startRun(id, claimed);
    run.waiting++;
    try {
      return await race(run.ended, signal);
    } finally {
      run.waiting--;
    }
  }

  #startRun(id: string, claimed: Saga | undefined): Run {
    const ended = this.#run(id, claimed, () => run.waiting > 0).finally(() => {
      this.#running.delete(id);
    });
    ended.catch(() => {});
    const run: Run = { waiting: 0, ended };
    this.#running.set(id, run);
    return run;
  }

  async #run(id: string, claimed: Saga | undefined, isAwaited: () => boolean): Promise<Saga> {
    const { signal, owner } = this.#options;
    const { minMs, maxMs, growth } = lookAgain;
    let mine = claimed;
    for (let pauseMs = minMs; ; pauseMs = Math.min(maxMs, growth * pauseMs)) {
      signal.throwIfAborted();
      const present = mine ?? (await this.#present(id));
      mine = undefined;
      if (present === null) throw new TypeError(`there is no saga ${id}`);
      // The repeat may reach a process of the release that knows it.
      if (!this.#isKnown(present)) throw errors.requestInProgress();
      if (!present.open) return present;
      // The process that starts a saga owns it, so its first run needs no claim.
      const isOwned = present.owner === owner;
      // A saga that no call awaits is left to recovery, which limits the number of runs.
      if (!isOwned && !isAwaited()) throw errors.requestInProgress();
      const owned = isOwned ? present : await this.#records.claim(present);
      const ended = owned && (await this.#runOwned(owned));
      if (ended) return ended;
      await systemSleep(pauseMs, signal);
    }
  }

  /** A saga's record: from memory if it was begun here and has not run yet. */
  async #present(id: string): Promise<Saga | null> {
    const begun = this.#begun.get(id);
    this.#begun.delete(id);
    return begun ?? (await this.#records.find(id));
  }

  /** Runs a saga to its end; undefined if another process has acquired it meanwhile. */
  async #runOwned(claimed: Saga): Promise<Saga | undefined> {
    const definition = this.#definitions.get(claimed.kind);
    if (definition === undefined) throw new TypeError(`unknown kind of saga: ${claimed.kind}`);
    const running = new AbortController();
    const { signal } = this.#options;
    this.#keepRenewing(claimed, AbortSignal.any([running.signal, signal])).catch(() => {});
    let saga = claimed;
    try {
      while (!isFinal(definition, saga.state)) {
        this.#recovery.note(saga);
        saga = await this.#step(definition, saga);
      }
      return saga;
    } catch (error) {
      if (error instanceof Superseded) return undefined;
      await this.#letGo(saga, error);
      throw error;
    } finally {
      running.abort();
    }
  }

  /** One renewal at a time, however long MongoDB takes. Most runs end before the first. */
  async #keepRenewing(saga: Saga, signal: AbortSignal): Promise<never> {
    const { log } = this.#options;
    for (;;) {
      await systemSleep(this.#renewMs, signal);
      await this.#records
        .renew(saga)
        .catch((error) => log.warn({ saga: saga._id, err: error }, 'saga lease not renewed'));
    }
  }

  async #step(definition: AnyDefinition, saga: Saga): Promise<Saga> {
    const step = definition.steps[saga.state];
    if (step === undefined) throw new TypeError(`saga ${saga.kind}: no step for ${saga.state}`);
    return await retry(
      async (parent) => {
        const { signal } = withDeadline(this.#stepDeadlineMs, parent);
        try {
          const { next, data, commit } = await step(saga, { signal });
          if (!definition.transitions[saga.state]?.includes(next)) {
            throw new TypeError(`saga ${saga.kind}: ${saga.state} may not become ${next}`);
          }
          return await this.#record(definition, saga, next, data, commit, signal);
        } catch (error) {
          // Distinguishes the deadline of the step from that of a caller that awaits the saga.
          const isOverdue = error === signal.reason && !parent.aborted;
          throw isOverdue ? errors.dependencyUnavailable('another service', error) : error;
        }
      },
      {
        attemptsMax: stepAttemptsMax,
        baseMs: 50,
        capMs: 500,
        isRetryable: isPassing,
        signal: this.#options.signal,
      },
    );
  }

  /** Writes the transition, with the service's own writes, only as the present owner. */
  async #record(
    definition: AnyDefinition,
    saga: Saga,
    next: string,
    data: unknown,
    commit: ((tx: Transaction) => Promise<void>) | undefined,
    signal: AbortSignal,
  ): Promise<Saga> {
    const open = !isFinal(definition, next);
    const after: Saga = {
      ...saga,
      state: next,
      data: { ...(saga.data as object), ...(data as object | undefined) },
      open,
      failures: 0,
    };
    if (!open) delete after.lock;
    const advance = async (tx?: Transaction) => {
      if (!(await this.#records.advance(saga, after, tx?.session))) throw new Superseded();
    };
    if (commit === undefined) await advance();
    else {
      const step = { id: saga._id, actor: saga.actor, signal, authorization: undefined };
      await this.#options.eventLog.decide(step, async (tx) => {
        await advance(tx);
        await commit(tx);
      });
    }
    return after;
  }

  /**
   * Releases a saga for the next process: at once if this one ends, and with a growing delay each
   * time that the step itself fails.
   */
  async #letGo(saga: Saga, error: unknown): Promise<void> {
    const { log, signal } = this.#options;
    const { _id, kind, state } = saga;
    const failures = signal.aborted ? saga.failures : saga.failures + 1;
    let pauseMs = 0;
    if (signal.aborted) log.info({ saga: _id, kind, state }, 'saga left to other processes');
    else {
      log.warn({ saga: _id, kind, state, err: error }, 'saga step failed');
      pauseMs = equalJitterMs(failures, { baseMs: 500, capMs: backoffCapMs });
    }
    await this.#records
      .release(saga, { failures, pauseMs })
      // If even this fails, the lease expires.
      .catch((failure) => log.warn({ saga: _id, err: failure }, 'saga lease not released'));
  }
}

/** Another process has acquired the saga, and continues it. */
class Superseded extends Error {}

/** Whether the same step may succeed soon. */
function isPassing(error: unknown): boolean {
  if (error instanceof SiloError) return error.code === status.UNAVAILABLE;
  // An error of a peer's transport, without a refusal of its own.
  return isServiceError(error);
}
