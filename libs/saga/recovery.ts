import { runForever } from '@silo/runtime/run-forever.ts';
import type { Logger } from 'pino';
import type { SagaDefinition } from './definition.ts';
import type { LeftSaga, SagaRecords, SagaStep } from './saga-records.ts';

const usualIntervalMs = 1_000;
/** How many sagas a process recovers at once: of those at one step, whose peer may be slow, and in all. */
const recoveringMax = { ofStep: 16, inAll: 64 };
/** Sagas of newer releases are counted in one of so many turns, and in each while there are some. */
const turnsPerCount = 10;

type Options = {
  records: SagaRecords;
  log: Logger;
  definitions: ReadonlyMap<string, SagaDefinition<string, unknown>>;
  /** Runs a saga to its end, unless somebody else does already. Logs its own failure. */
  takeUp(saga: LeftSaga): Promise<void>;
  /** For tests: how often it looks. */
  intervalMs?: number | undefined;
  /** Resolves when something may be left, or after a while; otherwise it looks at intervals. */
  untilLeft?: ((signal: AbortSignal) => Promise<void>) | undefined;
};

/** Finds what other processes left behind, and has it run: many at once, within bounds. */
export class Recovery {
  readonly #options: Options;
  /** The step of each saga that is being recovered. */
  readonly #recovering = new Map<string, string>();
  /** Steps of newer releases that were logged. */
  readonly #logged = new Set<string>();
  #unknown = 0;
  #turns = 0;

  constructor(options: Options) {
    this.#options = options;
  }

  /** Open sagas that nobody runs and this release does not know, as of the last count. */
  get unknown(): number {
    return this.#unknown;
  }

  /** Recovers until the signal. What it has begun may still run then. */
  async run(signal: AbortSignal): Promise<void> {
    const { log, untilLeft, intervalMs = untilLeft ? 0 : usualIntervalMs } = this.#options;
    await runForever({ name: 'saga-recovery', intervalMs, signal, log }, async () => {
      if (this.#turns++ % turnsPerCount === 0 || this.#unknown > 0)
        await this.#countUnknown(signal);
      await this.#begin(signal);
      await untilLeft?.(signal);
    });
  }

  /** Notes at which step a saga is, where it is being recovered. */
  note(saga: LeftSaga): void {
    if (this.#recovering.has(saga._id)) this.#recovering.set(saga._id, stepOf(saga));
  }

  /** Begins to recover what it finds. Not awaited: a saga whose peer is slow holds up no other. */
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
        .catch(() => {}) // let go for a later turn
        .finally(() => this.#recovering.delete(saga._id));
    }
  }

  #hasRoom(step: string): boolean {
    const same = [...this.#recovering.values()].filter((each) => each === step);
    return same.length < recoveringMax.ofStep;
  }

  /** The steps that this release knows and `isWanted`. */
  #steps(isWanted: (step: string) => boolean): SagaStep[] {
    return [...this.#options.definitions.values()].flatMap(({ kind, steps }) =>
      Object.keys(steps)
        .filter((state) => isWanted(stepOf({ kind, state })))
        .map((state) => ({ kind, state })),
    );
  }

  /** While a release is rolled out, a newer one may have begun what this one cannot run. */
  async #countUnknown(signal: AbortSignal): Promise<void> {
    const { records, log } = this.#options;
    const known = this.#steps(() => true);
    const unknown = await records.groupLeft(known, signal);
    this.#unknown = unknown.reduce((sum, { count }) => sum + count, 0);
    for (const { _id, count } of unknown) {
      if (this.#logged.has(stepOf(_id))) continue;
      this.#logged.add(stepOf(_id));
      log.warn({ ..._id, count }, 'open sagas of a newer release are left to it');
    }
  }
}

function stepOf({ kind, state }: SagaStep): string {
  return `${kind} ${state}`;
}
