import { runForever } from '@silo/runtime/run-forever.ts';
import type { Logger } from 'pino';
import type { SagaDefinition } from './definition.ts';
import type { LeftSaga, SagaRecords, SagaStep } from './saga-records.ts';

const usualIntervalMs = 1_000;
/**
 * Maximum number of sagas that a process recovers at once: at one step, whose peer may be slow, and
 * in total.
 */
const recoveringMax = { ofStep: 16, inAll: 64 };
/**
 * Sagas of newer releases are counted in every tenth turn, and in each turn while there are any.
 */
const turnsPerCount = 10;

type Options = {
  records: SagaRecords;
  log: Logger;
  definitions: ReadonlyMap<string, SagaDefinition<string, unknown>>;
  /** Runs a saga to its end, unless another process runs it already. Logs its own failure. */
  takeUp(saga: LeftSaga): Promise<void>;
  /** For tests: the interval of checks. */
  intervalMs?: number | undefined;
  /** Resolves when a saga may be left, or after a while; default: checks at intervals. */
  untilLeft?: ((signal: AbortSignal) => Promise<void>) | undefined;
};

/** Finds sagas that other processes left, and runs many of them at once, within limits. */
export class Recovery {
  readonly #options: Options;
  /** The step of each saga that is being recovered. */
  readonly #recovering = new Map<string, string>();
  /** Steps of newer releases that have been logged. */
  readonly #logged = new Set<string>();
  #unknown = 0;
  #turns = 0;

  constructor(options: Options) {
    this.#options = options;
  }

  /** Open sagas that no process runs and this release does not know, at the last count. */
  get unknown(): number {
    return this.#unknown;
  }

  /** Recovers sagas until the signal. Those that it has begun may still run then. */
  async run(signal: AbortSignal): Promise<void> {
    const { log, untilLeft, intervalMs = untilLeft ? 0 : usualIntervalMs } = this.#options;
    await runForever({ name: 'saga-recovery', intervalMs, signal, log }, async () => {
      if (this.#turns++ % turnsPerCount === 0 || this.#unknown > 0)
        await this.#countUnknown(signal);
      await this.#begin(signal);
      await untilLeft?.(signal);
    });
  }

  /** Records the present step of a saga that is being recovered. */
  note(saga: LeftSaga): void {
    if (this.#recovering.has(saga._id)) this.#recovering.set(saga._id, stepOf(saga));
  }

  /**
   * Begins to recover the sagas that it finds. Not awaited, so that a saga whose peer is slow does
   * not delay others.
   */
  async #begin(signal: AbortSignal): Promise<void> {
    const { records, takeUp } = this.#options;
    const limit = recoveringMax.inAll - this.#recovering.size;
    const steps = this.#steps((step) => this.#hasRoom(step));
    if (limit === 0 || steps.length === 0) return;
    const left = await records.findLeft(steps, limit, signal);
    for (const saga of left) {
      const step = stepOf(saga);
      if (this.#recovering.has(saga._id) || !this.#hasRoom(step)) continue;
      this.#recovering.set(saga._id, step);
      takeUp(saga)
        .catch(() => {}) // released for a later turn
        .finally(() => this.#recovering.delete(saga._id));
    }
  }

  #hasRoom(step: string): boolean {
    const same = [...this.#recovering.values()].filter((each) => each === step);
    return same.length < recoveringMax.ofStep;
  }

  /** The steps that this release knows and `isWanted` selects. */
  #steps(isWanted: (step: string) => boolean): SagaStep[] {
    return [...this.#options.definitions.values()].flatMap(({ kind, steps }) =>
      Object.keys(steps)
        .filter((state) => isWanted(stepOf({ kind, state })))
        .map((state) => ({ kind, state })),
    );
  }

  /**
   * During the rollout of a release, a newer process may have begun sagas that this one cannot run.
   */
  async #countUnknown(signal: AbortSignal): Promise<void> {
    const { records, log } = this.#options;
    const known = this.#steps(() => true);
    const unknown = await records.groupLeft(known, signal);
    this.#unknown = unknown.reduce((sum, { count }) => sum + count, 0);
    for (const { _id, count } of unknown) {
      if (this.#logged.has(stepOf(_id))) continue;
      this.#logged.add(stepOf(_id));
      log.warn({ ..._id, count }, 'open sagas of a newer release are left for it to run');
    }
  }
}

function stepOf({ kind, state }: SagaStep): string {
  return `${kind} ${state}`;
}
