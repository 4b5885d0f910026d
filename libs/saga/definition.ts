import type { Transaction } from '@silo/log/event-log.ts';

/** One run of a saga: the record beside the state that it changes. */
export type SagaRecord<State extends string, Data> = {
  _id: string;
  kind: string;
  state: State;
  data: Data;
  /** The actor that began it: `ce-authid` of everything that follows. */
  actor: string;
  /** Held while the saga is open: one open saga per lock. */
  lock?: string;
  open: boolean;
  /** Process that runs it now. */
  owner: string;
  /** Grows with every owner; a former owner's writes miss. Fencing token. */
  fence: number;
  /** How many times in a row its present step has failed. */
  failures: number;
};

/** Where a step leads. */
export type Transition<State extends string, Data> = {
  next: State;
  /** What the step learned, for the steps after it. */
  data?: Partial<Data>;
  /** What this service itself writes, in the one transaction that records the transition. */
  commit?: (tx: Transaction) => Promise<void>;
};

/** What a step gets beside its record. */
export type StepContext = { signal: AbortSignal };

/** A forward-only saga: legal transitions as data, one idempotent step for each open state. */
export type SagaDefinition<State extends string, Data> = {
  kind: string;
  /** Every state with those that may follow; a state that none follows is final. */
  transitions: Readonly<Record<State, readonly State[]>>;
  /** The step that leaves each open state. May run again after a crash: must be idempotent. */
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

/** Refuses a definition whose states, transitions and steps do not fit together. */
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
