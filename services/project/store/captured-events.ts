import { Authorization } from '@silo/access/authorization.ts';
import type { Permit } from '@silo/access/permits.ts';
import { fromMongo } from '@silo/mongo/from-mongo.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import { CommitUnknown, transact } from '@silo/mongo/transaction-retry.ts';
import { takeWithin } from '@silo/runtime/budget.ts';
import type { Collection, Db } from 'mongodb';
import type { CheckedEvent } from '../rules/events/check-event.ts';
import { uuidText } from '../rules/events/uuid.ts';
import {
  byTime,
  bytesOf,
  type CapturedEventDocument,
  collectionName,
  type EventBatch,
  idOf,
  indexedValue,
  keyOf,
  uuidBytes,
} from './event-collection.ts';
import type { EventDeletionStore } from './event-deletions.ts';
import type { StoreTransaction, UsageStore } from './usage.ts';

const duplicateKey = 11000;
/** Limits of one command: MongoDB accepts 16 MiB. */
const commandBounds = { countMax: 2_000, bytesMax: 12 * 1024 * 1024 };
/** Maximum size of a document without its properties. */
const fieldBytesMax = 4_096;
/** Maximum number of attempts for batches whose events other processes store at the same time. */
const attemptsMax = 10;
const commitTimeMaxMs = 1_000;
/** A larger deletion would delay the inserts of others. */
const deletedAtOnce = 500;

/**
 * Writes captured events; `event-queries.ts` reads them. Every method works on the events of one
 * project.
 */
export type CapturedEventStore = ReturnType<typeof createCapturedEventStore>;

export function createCapturedEventStore(
  db: Db,
  usage: Pick<UsageStore, 'asWriter' | 'add'>,
  deletions: Pick<EventDeletionStore, 'free'>,
) {
  const events: Collection<CapturedEventDocument> = db.collection(
    collectionName,
    collectionOptions,
  );

  return {
    /**
     * Stores batches and counts them as usage in one transaction, which commits only while every
     * permit is held, and releases the permits. Returns for each event of each batch whether it was
     * stored before; such events are not counted. Throws OutcomeUnknown if the result of the commit
     * is unknown; after any other error nothing is stored. Refuses with DEPENDENCY_UNAVAILABLE.
     * Calls `onWritten` before each commit: then MongoDB has done most of its work.
     */
    async insert(
      batches: readonly EventBatch[],
      {
        permits,
        signal,
        onWritten = () => {},
      }: { permits: readonly Permit[]; signal: AbortSignal; onWritten?: () => void },
    ): Promise<boolean[][]> {
      return await usage.asWriter(async (writer) => {
        // Most events are new: stored ones are looked up only after a conflict.
        for (let attempt = 1; ; attempt++) {
          const authorization = new Authorization(...permits);
          try {
            return await transact(
              db.client,
              // A late commit might write to a project that is in another region by then.
              { authorization, signal, commitTimeMaxMs, answersWithinPermits: true },
              async (session) => {
                const there = attempt === 1 ? [] : await eventsThere(events, { session }, batches);
                const { isThere, fresh } = withoutThose(batches, there);
                await insertDocuments(db, { session }, fresh);
                await usage.add({ session }, fresh, writer);
                onWritten();
                return isThere;
              },
            );
          } catch (error) {
            if (error instanceof CommitUnknown) throw new OutcomeUnknown(error);
            if (!(error instanceof AlreadyThere) || attempt === attemptsMax) throw fromMongo(error);
            // Remove events that are deleted but still stored: they conflict with new captures.
            for (const batch of batches) await deletions.free(batch, signal);
          }
        }
      });
    },

    /** Whether a project has any event. */
    async hasAny(projectId: string, signal: AbortSignal): Promise<boolean> {
      const options = { ...bounded, hint: byTime, projection: { _id: 1 } };
      const found = events.findOne({ '_id.project': projectId }, options);
      return (await reading(found, signal)) !== null;
    },

    /** Removes all events of a project. */
    async purge(projectId: string, signal: AbortSignal): Promise<void> {
      const options = { ...bounded, hint: byTime, projection: { _id: 1 }, limit: deletedAtOnce };
      for (;;) {
        signal.throwIfAborted();
        const found = await reading(
          events.find({ '_id.project': projectId }, options).toArray(),
          signal,
        );
        if (found.length === 0) return;
        const ids = found.map(({ _id }) => idOf(_id));
        await reading(events.deleteMany({ _id: { $in: ids } }, bounded), signal);
      }
    },
  };
}

function documentOf(
  projectId: string,
  { uuid, time, name, distinctId, timestamp, properties, indexed }: CheckedEvent,
  { receiveTime, generation }: Pick<EventBatch, 'receiveTime' | 'generation'>,
): CapturedEventDocument {
  const document: CapturedEventDocument = {
    _id: keyOf(projectId, uuidBytes(uuid)),
    ...{ time, name, distinctId, receiveTime },
    properties: Buffer.from(properties),
  };
  if (timestamp !== time.toISOString()) document.timestamp = timestamp;
  if (generation > 0) document.generation = generation;
  for (const { place, value } of indexed) document[`x${place}`] = indexedValue(value);
  return document;
}

/** MongoDB did not answer the commit in time: the batches may be stored. */
export class OutcomeUnknown extends Error {
  override readonly name = 'OutcomeUnknown';

  constructor(cause: unknown) {
    super('it is unknown whether the events are stored', { cause });
  }
}

/** An event of this transaction is stored already, which aborts the transaction. */
export class AlreadyThere extends Error {
  override readonly name = 'AlreadyThere';
}

/** Inserts the documents of new events. Throws AlreadyThere. */
async function insertDocuments(
  db: Db,
  { session }: StoreTransaction,
  batches: readonly EventBatch[],
): Promise<void> {
  let documents = batches.flatMap(({ projectId, events, ...stamps }) =>
    events.map((event) => documentOf(projectId, event, stamps)),
  );
  while (documents.length > 0) {
    const some = takeWithin(documents, commandBounds, sizeOf);
    documents = documents.slice(some.length);
    await insertSome(db, { session }, some, some.length);
  }
}

/**
 * Inserts as many documents as fit into one command, as objects or `rawDocuments`. Throws
 * AlreadyThere.
 */
export async function insertSome(
  db: Db,
  { session }: StoreTransaction,
  documents: object,
  count: number,
): Promise<void> {
  const answer = await db.command({ insert: collectionName, documents, ...bounded }, { session });
  const [error] = (answer.writeErrors ?? []) as { code: number }[];
  if (error?.code === duplicateKey) throw new AlreadyThere();
  // The server may omit documents from its errors (mongod 6.0 does): compare the number.
  if (answer.n !== count) {
    throw new Error(`${answer.n} of ${count} events are stored, error ${error?.code}`);
  }
}

/** The keys of those events that are stored, in the transaction's snapshot. */
async function eventsThere(
  events: Collection<CapturedEventDocument>,
  { session }: StoreTransaction,
  batches: readonly EventBatch[],
): Promise<string[]> {
  const ids = batches.flatMap(({ projectId, events }) =>
    events.map(({ uuid }) => keyOf(projectId, uuidBytes(uuid))),
  );
  const options = { ...bounded, session, projection: { _id: 1 } };
  const found = await events.find({ _id: { $in: ids } }, options).toArray();
  return found.map(({ _id }) => eventName(_id.project, uuidText(bytesOf(_id.uuid))));
}

/**
 * For each event, whether it is stored already or precedes itself in its batch; and the batches
 * without such events.
 */
function withoutThose(
  batches: readonly EventBatch[],
  there: readonly string[],
): { isThere: boolean[][]; fresh: EventBatch[] } {
  const names = new Set(there);
  const isThere = batches.map(({ projectId, events }) =>
    events.map(({ uuid }) => !isAdded(names, eventName(projectId, uuid))),
  );
  const fresh = batches.map((batch, index) => ({
    ...batch,
    events: batch.events.filter((_, at) => isThere[index]?.[at] === false),
  }));
  return { isThere, fresh };
}

function eventName(projectId: string, uuid: string): string {
  return `${projectId} ${uuid}`;
}

function isAdded(set: Set<string>, member: string): boolean {
  const { size } = set;
  return set.add(member).size > size;
}

/** An upper bound of the document's size: names are short, and so are indexed values. */
function sizeOf({ properties }: CapturedEventDocument): number {
  return bytesOf(properties).length + fieldBytesMax;
}
