import { errors } from '@silo/errors/errors.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import { eventSpan } from '@silo/events/event-span.ts';
import type { EventLog } from '@silo/log/event-log.ts';
import type { EventBatch, LoggedEvent, LogReader } from '@silo/log/log-reader.ts';
import { hasReached, type Position } from '@silo/log/position.ts';
import { remoteReader } from '@silo/log/remote-reader.ts';
import { subscribe } from '@silo/log/subscribe.ts';
import type { EventLogServiceClient } from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import type { Connected } from '@silo/rpc/client.ts';
import { systemSleep } from '@silo/runtime/clock.ts';
import { race } from '@silo/runtime/deadline.ts';
import type { Log } from '@silo/runtime/log.ts';
import type { Progress } from '@silo/runtime/progress.ts';
import { noteEvent } from '@silo/runtime/tracing.ts';
import { ulid } from 'ulid';
import { entryOf } from '../rules/activity-entry.ts';
import {
  type ActivityDocument,
  type ActivityStore,
  type FollowedService,
  followedServices,
} from '../store/activity.ts';

const batchMax = 500;
/**
 * Pause between two batches, so that more events share a transaction. Reads of the activity log
 * catch up without pauses.
 */
const batchPauseMs = 1_000;
const stepDeadlineMs = 10_000;

/** Keeps the activity log up to date with the event logs. */
export type Follower = {
  /** Applies all events that were committed before the call. Refuses if that takes too long. */
  catchUp(signal: AbortSignal): Promise<void>;
  /** Applies events as they arrive, until the signal, so that catching up takes little time. */
  follow(signal: AbortSignal): Promise<void>;
};

/**
 * Creates a follower of all these logs. Any number of followers may run: each event is applied
 * once.
 */
export function createFollower(options: {
  activity: ActivityStore;
  eventLog: EventLog;
  logs: readonly LogReader[];
  log: Log;
  /** The progress of `follow`, with a part for each log. */
  progress: Progress;
}): Follower {
  const { logs, progress } = options;
  const following = logs.map((reader) => new LogFollower(reader, options));
  return {
    async catchUp(signal) {
      try {
        await Promise.all(following.map((each) => each.catchUp(signal)));
      } catch (error) {
        if (error instanceof SiloError) throw error;
        throw errors.dependencyUnavailable('event logs', error);
      }
    },
    async follow(signal) {
      await Promise.all(following.map((each) => each.follow(signal)));
      progress.clear();
    },
  };
}

class LogFollower {
  readonly #reader: LogReader;
  readonly #activity: ActivityStore;
  readonly #eventLog: EventLog;
  readonly #log: Log;
  readonly #progress: Progress;
  /** The current step of `catchUp` in this process: two concurrent steps would only conflict. */
  #step: Promise<unknown> | undefined;

  constructor(
    reader: LogReader,
    options: { activity: ActivityStore; eventLog: EventLog; log: Log; progress: Progress },
  ) {
    this.#reader = reader;
    this.#activity = options.activity;
    this.#eventLog = options.eventLog;
    this.#log = options.log;
    this.#progress = options.progress;
  }

  async catchUp(signal: AbortSignal): Promise<void> {
    const { service } = this.#reader;
    const head = await this.#reader.head(signal);
    for (;;) {
      signal.throwIfAborted();
      const position = await this.#activity.position(service, signal);
      if (position.incarnation === head.incarnation && hasReached(position, head)) return;
      if (this.#step !== undefined) {
        // The caller of the failed step gets its error. Other waiters check the position again.
        await race(this.#step, signal).catch(() => {});
        continue;
      }
      this.#step = this.#advance(position, head, signal).finally(() => {
        this.#step = undefined;
      });
      await this.#step;
    }
  }

  async follow(signal: AbortSignal): Promise<void> {
    const { service } = this.#reader;
    let position: Position | undefined;
    await subscribe(
      this.#reader,
      async (head) => {
        position = await this.#activity.position(service, signal);
        this.#progress.reached(service, position.sequence);
        return startAfter(position, head);
      },
      async (batch) => {
        if (position === undefined) return 'restart';
        const to = endOf(batch, startAfter(position, batch.head));
        if (isSame(position, to)) return undefined;
        const within = AbortSignal.any([signal, AbortSignal.timeout(stepDeadlineMs)]);
        // Another process, or `catchUp` in this one, may have applied the batch already.
        if (!(await this.#apply(position, to, batch, within))) return 'restart';
        position = to;
        this.#progress.reached(service, to.sequence);
        await systemSleep(batchPauseMs, signal);
        return undefined;
      },
      {
        ...{ name: `activity-${service}`, batchMax, signal, log: this.#log },
        onProgress: (outcome) => this.#progress[outcome](service),
      },
    );
  }

  async #advance(from: Position, head: Position, signal: AbortSignal): Promise<void> {
    const afterSequence = startAfter(from, head);
    const batch = await this.#reader.read({ afterSequence, limit: batchMax }, signal);
    const to = endOf(batch, afterSequence);
    // The log returned fewer events than its own head promises.
    if (isSame(from, to)) throw errors.dependencyUnavailable(this.#reader.service);
    await this.#apply(from, to, batch, signal);
  }

  /**
   * Applies a batch in one transaction. Returns false if the stored position is no longer `from`.
   */
  async #apply(
    from: Position,
    to: Position,
    { events, firstSequence }: EventBatch,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { service } = this.#reader;
    if (firstSequence !== undefined) {
      this.#log.warn(
        { service, after: from.sequence, firstSequence },
        'the activity log lacks events that their log no longer has',
      );
    }
    const between = events.flatMap((event) => this.#documentOf(event) ?? []);
    const step = { id: ulid().toLowerCase(), actor: 'silo', signal, authorization: undefined };
    const { value } = await this.#eventLog.decide(step, (tx) =>
      this.#activity.advance(tx, service, { from, to, between }),
    );
    if (value) for (const event of events) noteEvent(event, eventSpan('record', event, 'consumer'));
    return value;
  }

  /**
   * Returns the entry of an event; undefined if nobody may see it. An event that cannot be read
   * does not stop later ones.
   */
  #documentOf({ bodyJson, ...event }: LoggedEvent): ActivityDocument | undefined {
    try {
      const entry = entryOf({ ...event, body: JSON.parse(bodyJson) });
      if (entry === undefined) return undefined;
      const { id: _id, ...rest } = entry;
      return { _id, ...rest, sequence: event.sequence };
    } catch (err) {
      const { id, type } = event;
      this.#log.error(
        { err, id, type },
        'the activity log leaves out an event that cannot be read',
      );
      return undefined;
    }
  }
}

/** Another incarnation is a restored backup, to which no earlier position applies. */
function startAfter(position: Position, head: Position): number {
  return position.incarnation === head.incarnation ? position.sequence : 0;
}

function endOf({ events, head, firstSequence }: EventBatch, afterSequence: number): Position {
  const skipped = firstSequence === undefined ? afterSequence : firstSequence - 1;
  return { sequence: events.at(-1)?.sequence ?? skipped, incarnation: head.incarnation };
}

function isSame(a: Position, b: Position): boolean {
  return a.sequence === b.sequence && a.incarnation === b.incarnation;
}

/** The logs from which org's activity log is made. */
export function followedLogs(
  eventLog: EventLog,
  peers: Record<Exclude<FollowedService, 'org'>, { eventLog: Connected<EventLogServiceClient> }>,
): LogReader[] {
  return followedServices.map((service) =>
    service === 'org' ? eventLog : remoteReader(service, peers[service].eventLog),
  );
}
