import type { Timestamp } from 'mongodb';

/** One event of a group, as the deciding transaction wrote it. */
export type OutboxEvent = { id: string; event: string; subject: string; body: string };

/** The events of one transaction, waiting to be sequenced. */
export type OutboxGroup = {
  /**
   * Sorts causes before effects: by the operation time that was known at the write, then by the
   * group's id.
   */
  _id: { at: Timestamp; id: string };
  time: Date;
  actor: string;
  correlationId: string;
  /** The trace of the change, if it is traced. */
  traceparent?: string | undefined;
  events: OutboxEvent[];
};

/** One event of the log. */
export type EventDocument = {
  /** Its sequence: 1, 2, 3 … without gaps. */
  _id: number;
  /** `ce-id`. */
  id: string;
  event: string;
  subject: string;
  time: Date;
  actor: string;
  correlationId: string;
  /** The trace of the change, if it is traced. */
  traceparent?: string | undefined;
  /** Proto3 JSON as text: the bytes that are sent. */
  body: string;
};

/** The head of the log: the one document that every sequencing transaction changes. */
export type LogDocument = { _id: 'log'; sequence: number; incarnation: string };
