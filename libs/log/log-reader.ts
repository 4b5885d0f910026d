import type { Position } from './position.ts';

/** The services that have an event log. */
export type LogService = 'org' | 'project' | 'token' | 'billing';

/** One event of a log. */
export type LoggedEvent = {
  sequence: number;
  /** `ce-id`. */
  id: string;
  /** `ce-type`, such as `internal.silo.project.moved.v1`. */
  type: string;
  subject: string;
  time: Date;
  actor: string;
  correlationId: string;
  /** `ce-traceparent`: the trace of the change, if it is traced. */
  traceparent?: string | undefined;
  /** Proto3 JSON. */
  bodyJson: string;
};

/** What to read: at most `limit` events after a sequence. */
export type ReadRange = { afterSequence: number; limit: number };

/** Some events of a log, in order and without gaps, and the head as of the same read. */
export type EventBatch = {
  events: readonly LoggedEvent[];
  head: Position;
  /**
   * Set if retention has deleted the next event: the first sequence that the log still holds. Then
   * the batch has no events.
   */
  firstSequence?: number | undefined;
};

/**
 * Reads one service's event log: an EventLog in the service itself, `remoteReader` elsewhere. Both
 * methods that return something reject with DEPENDENCY_UNAVAILABLE if the log does not answer.
 */
export type LogReader = {
  readonly service: LogService;
  /** The head, after sequencing everything that was committed before the call. */
  head(signal: AbortSignal): Promise<Position>;
  /**
   * A batch of at most `limit` events and 1 MiB, whichever is reached first, but of at least one
   * event if there is any. With a limit of 0, only the head.
   */
  read(range: ReadRange, signal: AbortSignal): Promise<EventBatch>;
  /** Resolves when the log may be past a sequence, at the latest after `maxMs`. */
  wait(afterSequence: number, maxMs: number, signal: AbortSignal): Promise<void>;
};
