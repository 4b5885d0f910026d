import { errors } from '@silo/errors/errors.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import type { EventLog, Head } from '@silo/log/event-log.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import type { EventLogServiceClient } from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import type { Connected } from '@silo/rpc/client.ts';
import { systemSleep } from '@silo/runtime/clock.ts';
import { race } from '@silo/runtime/deadline.ts';
import type { Log } from '@silo/runtime/log.ts';
import type { Progress } from '@silo/runtime/progress.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import { ulid } from 'ulid';
import { entryOf, type LoggedActivity } from '../rules/activity-entry.ts';
import {
  type ActivityDocument,
  type ActivityStore,
  type FollowedService,
  followedServices,
  type Position,
} from '../store/activity.ts';

const batchSize = 500;
const intervalMs = 1_000;
/** The pause after a turn that found nothing new: reading the activity log catches up anyway. */
const restMs = 5_000;
const turnDeadlineMs = 10_000;

type SequencedEvent = LoggedActivity & { sequence: number };

/** One event log that the activity log is made from. */
export type Source = {
  service: FollowedService;
  /** The head, after everything committed before the call has been numbered. */
  head(signal: AbortSignal): Promise<Head>;
  /** What follows a sequence. Refuses with LOG_COMPACTED. */
  read(
    afterSequence: number,
    signal: AbortSignal,
  ): Promise<{ events: SequencedEvent[]; head: Head }>;
};

/** Org's own log, read where it lies. */
export function ownSource(eventLog: EventLog): Source {
  return {
    service: 'org',
    head: (signal) => eventLog.numberNow(signal),
    read: async (afterSequence, signal) => {
      const { events, head } = await eventLog.read({ afterSequence, limit: batchSize }, signal);
      const logged = events.map(({ event, bodyJson, ...rest }) => ({
        ...rest,
        type: `internal.silo.${eventLog.service}.${event}.v1`,
        body: JSON.parse(bodyJson),
      }));
      return { events: logged, head };
    },
  };
}

/** Another service's log, read by RPC. */
function peerSource(service: FollowedService, client: Connected<EventLogServiceClient>): Source {
  return {
    service,
    head: async (signal) => {
      const { head } = await client.getHead({}, { signal });
      if (head === undefined) throw errors.dependencyUnavailable(service);
      return head;
    },
    read: async (afterSequence, signal) => {
      const request = { afterSequence, batchSize, follow: false };
      // One message is one batch; the next batch is requested from the next position.
      for await (const { events, head } of client.readEvents(request, { signal, refusals: true })) {
        if (head === undefined) break;
        const logged = events.map(({ bodyJson, time = new Date(0), ...rest }) => ({
          ...rest,
          time,
          body: JSON.parse(bodyJson),
        }));
        return { events: logged, head };
      }
      throw errors.dependencyUnavailable(service);
    },
  };
}

/** What keeps the activity log up with the event logs. */
export type Follower = {
  /** Brings in everything that was committed before the call; refuses where that takes too long. */
  catchUp(signal: AbortSignal): Promise<void>;
  /** Keeps close to the logs until the signal, so that catching up is short. */
  follow(signal: AbortSignal): Promise<void>;
};

/** Makes the follower of all the sources. Any number may run: each step counts once. */
export function createFollower(options: {
  activity: ActivityStore;
  eventLog: EventLog;
  sources: readonly Source[];
  log: Log;
  /** Receives the progress of `follow` in each log. */
  progress: Progress;
}): Follower {
  const { sources, log, progress } = options;
  const following = sources.map((source) => new SourceFollower(source, options));
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
      const turnOf = (each: SourceFollower) => async (turnSignal: AbortSignal) => {
        const within = AbortSignal.timeout(turnDeadlineMs);
        try {
          const hasAdvanced = await each.catchUp(AbortSignal.any([turnSignal, within]));
          progress.made(each.service);
          if (!hasAdvanced) await systemSleep(restMs, turnSignal);
        } catch (error) {
          progress.failed(each.service);
          throw error;
        }
      };
      await Promise.all(
        following.map((each) =>
          runForever({ name: `activity-${each.service}`, intervalMs, signal, log }, turnOf(each)),
        ),
      );
      progress.clear();
    },
  };
}

class SourceFollower {
  readonly #source: Source;
  readonly #activity: ActivityStore;
  readonly #eventLog: EventLog;
  readonly #log: Log;
  /** The step under way in this process: two at once would only be in each other's way. */
  #step: Promise<void> | undefined;

  constructor(
    source: Source,
    { activity, eventLog, log }: { activity: ActivityStore; eventLog: EventLog; log: Log },
  ) {
    this.#source = source;
    this.#activity = activity;
    this.#eventLog = eventLog;
    this.#log = log;
  }

  get service(): FollowedService {
    return this.#source.service;
  }

  /** Answers whether there was anything new. */
  async catchUp(signal: AbortSignal): Promise<boolean> {
    const head = await this.#source.head(signal);
    for (let hasAdvanced = false; ; hasAdvanced = true) {
      signal.throwIfAborted();
      const position = await this.#activity.position(this.service, signal);
      if (reaches(position, head)) return hasAdvanced;
      if (this.#step !== undefined) {
        // The failure is reported to the caller of the failed step; other waiters check again.
        await race(this.#step, signal).catch(() => {});
        continue;
      }
      this.#step = this.#advance(position, head, signal).finally(() => {
        this.#step = undefined;
      });
      await this.#step;
    }
  }

  async #advance(from: Position, head: Head, signal: AbortSignal): Promise<void> {
    // Another incarnation: a backup was restored, and no position from before means anything.
    const after = from.incarnation === head.incarnation ? from.sequence : 0;
    const { to, between } = await this.#read(after, head, signal);
    if (to.sequence === from.sequence && to.incarnation === from.incarnation) {
      throw errors.dependencyUnavailable(this.service); // it answered less than its own head
    }
    const step = { id: ulid().toLowerCase(), actor: 'silo', signal, permits: undefined };
    await this.#eventLog.decide(step, (tx) =>
      this.#activity.advance(tx.session, this.service, { from, to, between }),
    );
  }

  async #read(
    after: number,
    head: Head,
    signal: AbortSignal,
  ): Promise<{ to: Position; between: ActivityDocument[] }> {
    try {
      const { events, head: present } = await this.#source.read(after, signal);
      const sequence = events.at(-1)?.sequence ?? after;
      const between = events.flatMap((event) => documentOf(event) ?? []);
      return { to: { sequence, incarnation: present.incarnation }, between };
    } catch (error) {
      const firstSequence = firstAfterCompaction(error);
      if (firstSequence === undefined) throw error;
      this.#log.warn({ service: this.service, after, firstSequence }, 'activity has a gap');
      const to = { sequence: firstSequence - 1, incarnation: head.incarnation };
      return { to, between: [] };
    }
  }
}

function documentOf(event: SequencedEvent): ActivityDocument | undefined {
  const entry = entryOf(event);
  if (entry === undefined) return undefined;
  const { id: _id, ...rest } = entry;
  return { _id, ...rest, sequence: event.sequence };
}

function reaches(position: Position, head: Head): boolean {
  return position.incarnation === head.incarnation && position.sequence >= head.sequence;
}

function firstAfterCompaction(error: unknown): number | undefined {
  if (!(error instanceof SiloError)) return undefined;
  if (error.reason !== ErrorReason.ERROR_REASON_LOG_COMPACTED) return undefined;
  return Number(error.metadata.first_sequence);
}

/** The sources of a service that has peers. */
export function sourcesOf(
  eventLog: EventLog,
  peers: Record<Exclude<FollowedService, 'org'>, { eventLog: Connected<EventLogServiceClient> }>,
): Source[] {
  return followedServices.map((service) =>
    service === 'org' ? ownSource(eventLog) : peerSource(service, peers[service].eventLog),
  );
}
