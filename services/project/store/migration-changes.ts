import { errors } from '@silo/errors/errors.ts';
import { fromMongo } from '@silo/mongo/from-mongo.ts';
import { majorityTime } from '@silo/mongo/majority-time.ts';
import { reading } from '@silo/mongo/read.ts';
import { ServerClock } from '@silo/mongo/server-clock.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import { BSON, type ChangeStream, type Db, type Document, MongoServerError } from 'mongodb';
import { bytesOf, type CapturedEventDocument, collectionName } from './event-collection.ts';
import { hex, stepBounds, type WriteTime } from './migration-events.ts';
import { migrationsName } from './migrations.ts';

/** How long the server waits for a change before it returns none. */
const awaitMs = 50;
/**
 * ChangeStreamFatalError and ChangeStreamHistoryLost: the oplog no longer contains the resume
 * token.
 */
const historyLost: ReadonlySet<unknown> = new Set([280, 286]);

/** The fields of a change event. */
type Change = {
  _id: Document;
  operationType: string;
  clusterTime: WriteTime;
  wallTime: Date;
  ns?: { coll: string };
  documentKey?: { _id: CapturedEventDocument['_id'] | string };
  /** The changed fields of an update; `fullDocument` is set for an insert or replacement. */
  updateDescription?: { updatedFields?: { fencedAttempt?: number } };
  fullDocument?: { fencedAttempt?: number };
};

/** Changes in order, complete up to the resume token. */
export type Changes = {
  /** The changed events, each once. */
  uuids: Uint8Array[];
  /** The attempt that the last of these changes has fenced, if any. */
  fencedAttempt: number | undefined;
  /** Whether the record of the migration has changed. */
  isRecordChanged: boolean;
  /** The position after which the next changes follow. */
  resumeToken: Buffer;
  /** The time of the last change; undefined if there is none. */
  time: WriteTime | undefined;
  /** How long the first remaining change has waited; 0 if there is none. */
  lagMs: number;
};

/** The followed changes: of the events of a project, and of the record of a migration. */
export type Followed = {
  projectId: string;
  migrationId: string;
  /** Empty: from now on. */
  resumeToken: Uint8Array;
};

/** Follows changes in the background, and buffers at most one step of them until they are taken. */
export class ChangeFollower implements AsyncDisposable {
  readonly #stream: ChangeStream<Document, Document>;
  readonly #server: Pick<ServerClock, 'nowMs'>;
  readonly #ended = new AbortController();
  #kept: { change: Change; token: unknown }[] = [];
  /** The position after the taken changes. */
  #token: unknown;
  /** The position of the last response, if it had no change. */
  #idleToken: unknown;
  /** The time of the last taken change. */
  #sentTime: Date | undefined;
  #failure: { error: unknown } | undefined;
  #arrived = Promise.withResolvers<void>();
  #taken = Promise.withResolvers<void>();
  #pumping: Promise<void> | undefined;

  private constructor(stream: ChangeStream<Document, Document>, server: ServerClock) {
    this.#stream = stream;
    this.#server = server;
  }

  /**
   * Follows changes from the token on, or from a time before this resolves. Refuses with
   * LOG_COMPACTED, immediately or later, if the oplog does not go back that far.
   */
  static async open(
    db: Db,
    followed: Followed,
    { clock, signal }: { clock: Pick<Clock, 'monotonicMs'>; signal: AbortSignal },
  ): Promise<ChangeFollower> {
    // Reads the clock of the server that writes the times of the changes.
    const server = await ServerClock.read(db, clock, signal);
    const start =
      followed.resumeToken.length > 0
        ? { resumeAfter: BSON.deserialize(followed.resumeToken) }
        : { startAtOperationTime: await reading(majorityTime(db), signal) };
    const stream = db.watch<Document, Document>(pipelineOf(followed), {
      ...{ ...start, maxAwaitTimeMS: awaitMs, batchSize: stepBounds.countMax },
    });
    const follower = new ChangeFollower(stream, server);
    try {
      await reading(follower.#next(), signal);
    } catch (error) {
      await follower[Symbol.asyncDispose]();
      throw error;
    }
    follower.#pumping = follower.#pump();
    return follower;
  }

  /** Resolves when there are changes, or after a timeout. Rejects if following has failed. */
  async wait(maxMs: number, signal: AbortSignal): Promise<void> {
    // A signal that is aborted already fires no event.
    signal.throwIfAborted();
    if (this.#kept.length > 0) return;
    const within = AbortSignal.any([signal, AbortSignal.timeout(maxMs)]);
    const over = Promise.withResolvers<void>();
    const onAbort = () => over.resolve();
    within.addEventListener('abort', onAbort, { once: true });
    try {
      await Promise.race([this.#arrived.promise, over.promise]);
    } finally {
      within.removeEventListener('abort', onAbort);
    }
    signal.throwIfAborted();
  }

  /** Takes the buffered changes, up to the first fence. */
  take(): Changes {
    if (this.#failure) throw this.#failure.error;
    const fence = this.#kept.findIndex(({ change }) => fencedAttemptOf(change) !== undefined);
    const taken = this.#kept.splice(0, fence === -1 ? this.#kept.length : fence + 1);
    const last = taken.at(-1);
    const [next] = this.#kept;
    const isIdle = next === undefined && this.#idleToken !== undefined;
    this.#sentTime = last?.change.wallTime ?? this.#sentTime;
    this.#token = isIdle ? this.#idleToken : (last?.token ?? this.#token);
    const uuids = new Map<string, Uint8Array>();
    for (const { change } of taken) {
      const uuid = eventOf(change);
      if (uuid !== undefined) uuids.set(hex(uuid), uuid);
    }
    this.#arrived = Promise.withResolvers();
    this.#taken.resolve();
    const waitingSince = next?.change.wallTime ?? (isIdle ? undefined : this.#sentTime);
    const lagMs = waitingSince ? this.#server.nowMs() - waitingSince.getTime() : 0;
    return {
      uuids: [...uuids.values()],
      fencedAttempt: last && fencedAttemptOf(last.change),
      isRecordChanged: taken.some(({ change }) => change.ns?.coll === migrationsName),
      resumeToken: Buffer.from(BSON.serialize(this.#token as Document)),
      time: last?.change.clusterTime,
      lagMs: Math.max(0, Math.round(lagMs)),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    this.#taken.resolve();
    await this.#stream.close().catch(() => {}); // the server closes an idle cursor
    await this.#pumping;
  }

  async #pump(): Promise<void> {
    try {
      while (!this.#ended.signal.aborted) {
        if (this.#kept.length < stepBounds.countMax) await this.#next();
        else await this.#untilTaken();
      }
    } catch (error) {
      this.#failure = { error };
      this.#arrived.resolve();
    }
  }

  async #untilTaken(): Promise<void> {
    await this.#taken.promise;
    this.#taken = Promise.withResolvers();
  }

  /** Awaits the next change, or the response that there is none. */
  async #next(): Promise<void> {
    try {
      const change = (await this.#stream.tryNext()) as Change | null;
      const token = this.#stream.resumeToken;
      if (change === null) {
        this.#idleToken = token;
        return;
      }
      if (change.operationType === 'invalidate') throw errors.changesCompacted();
      this.#idleToken = undefined;
      this.#kept.push({ change, token });
      this.#arrived.resolve();
    } catch (error) {
      const isLost = error instanceof MongoServerError && historyLost.has(error.code);
      throw isLost ? errors.changesCompacted() : fromMongo(error);
    }
  }
}

function pipelineOf({ projectId, migrationId }: Followed): Document[] {
  return [
    {
      $match: {
        $or: [
          { 'ns.coll': collectionName, 'documentKey._id.project': projectId },
          { 'ns.coll': migrationsName, 'documentKey._id': migrationId },
          { operationType: 'invalidate' },
        ],
      },
    },
    {
      $project: {
        ...{ operationType: 1, clusterTime: 1, wallTime: 1, 'ns.coll': 1, 'documentKey._id': 1 },
        'updateDescription.updatedFields.fencedAttempt': 1,
        'fullDocument.fencedAttempt': 1,
      },
    },
  ];
}

function eventOf({ ns, documentKey }: Change): Uint8Array | undefined {
  const id = documentKey?._id;
  if (ns?.coll !== collectionName || typeof id !== 'object') return undefined;
  return bytesOf(id.uuid);
}

function fencedAttemptOf(change: Change): number | undefined {
  if (change.ns?.coll !== migrationsName) return undefined;
  const { updateDescription, fullDocument } = change;
  return updateDescription?.updatedFields?.fencedAttempt ?? fullDocument?.fencedAttempt;
}
