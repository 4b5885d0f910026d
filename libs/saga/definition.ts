import type { Transaction } from '@silo/log/event-log.ts';

/** One run of a saga: the record of its state and data. */
export type SagaRecord<State extends string, Data> = {
  _id: string;
  kind: string;
  state: State;
  data: Data;
  /** The actor that began it, published as `ce-authid` of everything that follows. */
  actor: string;
  /** Held while the saga is open: only one open saga may have this lock. */
  lock?: string;
  open: boolean;
  /** The process that runs it now. */
  owner: string;
  /** Fencing token: grows with every owner, so that writes of a former owner match nothing. */
  fence: number;
  /** Number of consecutive failures of its present step. */
  failures: number;
};

/** The result of a step: the next state. */
export type Transition<State extends string, Data> = {
  next: State;
  /** Data that the step learned, for later steps. */
  data?: Partial<Data>;
  /** Writes of this service itself, in the one transaction that records the transition. */
  commit?: (tx: Transaction) => Promise<void>;
};

/** What a step receives in addition to its record. */
export type StepContext = { signal: AbortSignal };

/** A forward-only saga: legal transitions as data, one idempotent step for each open state. */
export type SagaDefinition<State extends string, Data> = {
  kind: string;
  /** Every state with the states that may follow it; a state without any is final. */
  transitions: Readonly<Record<State, readonly State[]>>;
  /**
   * The step for each open state, which leads to the next one. It may run again after a crash, so
   * it must be idempotent.
   */
  steps: {
    readonly [S in State]?: (
      saga: SagaRecord<State, Data>,
      context: StepContext,
    ) => Promise<Transition<State, Data>>;
  };
};

/** Whether a state ends the saga. */
export function isFinal<State extends string, Data>(
  definition: SagaDefinition<State, Data>,
  state: State,
): boolean {
  return definition.transitions[state].length === 0;
}

/** Refuses a definition whose states, transitions and steps are inconsistent. */
export function checkDefinition<State extends string, Data>(
  definition: SagaDefinition<State, Data>,
): void {
  for (const [state, next] of Object.entries<readonly State[]>(definition.transitions)) {
    const hasStep = Object.hasOwn(definition.steps, state);
    if (hasStep === (next.length === 0)) {
      throw new TypeError(`saga ${definition.kind}: state ${state} needs a step, or must be final`);
    }
    for (const each of next) {
      if (!Object.hasOwn(definition.transitions, each)) {
        throw new TypeError(`saga ${definition.kind}: ${state} leads to unknown ${each}`);
      }
    }
  }
}
