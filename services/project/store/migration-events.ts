import { majorityTime } from '@silo/mongo/majority-time.ts';
import { bounded, collectionOptions, readIn, reading } from '@silo/mongo/read.ts';
import { Budget } from '@silo/runtime/budget.ts';
import { Binary, type Collection, type Db, type Filter, type Timestamp } from 'mongodb';
import { EventDigest } from '../rules/events/event-digest.ts';
import {
  comparePlaces,
  type EventPlace,
  type EventRange,
  endPlace,
  firstPlace,
} from '../rules/events/event-range.ts';
import {
  byTime,
  bytesOf,
  type CapturedEventDocument,
  collectionName,
  keyOf,
} from './event-collection.ts';
import { batchesOf, type StoredPosition } from './event-queries.ts';
import { readFrom, StoredEvent } from './stored-event.ts';
import type { StoreTransaction } from './usage.ts';

/** Limits of one range, and of one step of changes. */
export const stepBounds = { countMax: 1_000, bytesMax: 1024 * 1024 };
/** Minimum number of documents that are read at once, regardless of their size. */
const readMin = 4;
/**
 * A range of another region has at most as many bytes as a step, or one event. If the events here
 * have more than this, the range differs.
 */
const digestBytesMax = 32 * 1024 * 1024;

/** A time in the order of writes of this region's database. */
export type WriteTime = Timestamp;

/** Reads a project's stored events; one statement at a time. */
export type EventReader = Awaited<ReturnType<typeof openEventReader>>;

/** Opens a reader that sees at least all writes before it was opened, and only durable ones. */
export async function openEventReader(db: Db, projectId: string, signal: AbortSignal) {
  const time = await reading(majorityTime(db), signal);
  const events = eventsOf(db);
  const session = db.client.startSession({ causalConsistency: true });
  session.advanceOperationTime(time);
  /** Estimated bytes of a document, to avoid reading more than is used. */
  let sizeBytes = 1_024;
  const readAtOnce = () => Math.max(readMin, Math.ceil(stepBounds.bytesMax / sizeBytes) + 1);

  /** Takes the first documents, within the limits of a step, and whether there were no more. */
  const takeStep = async (
    batches: AsyncIterable<Uint8Array[]>,
  ): Promise<{ documents: Uint8Array[]; isWhole: boolean }> => {
    const budget = new Budget(stepBounds);
    const documents: Uint8Array[] = [];
    const take = async () => {
      for await (const batch of batches) {
        for (const document of batch) {
          if (!budget.take(document.length)) return false;
          // The document itself would keep the whole reply of MongoDB in memory, up to 16 MiB.
          documents.push(Buffer.from(document));
        }
      }
      return true;
    };
    const isWhole = await take();
    const bytes = documents.reduce((sum, { length }) => sum + length, 0);
    if (documents.length > 0) sizeBytes = bytes / documents.length;
    return { documents, isWhole };
  };

  return {
    /** Makes later reads include all writes before that time. */
    see(seen: WriteTime): void {
      session.advanceOperationTime(seen);
    },

    /**
     * Returns the oldest events of a range, within the limits of a step, and whether there are
     * more.
     */
    async oldest(
      range: EventRange,
      until: AbortSignal,
    ): Promise<{ documents: Uint8Array[]; isOver: boolean }> {
      const limits = { limit: stepBounds.countMax, batchSize: readAtOnce() };
      const read = takeStep(rangeOf(events, projectId, range, { session }, limits));
      const { documents, isWhole } = await reading(read, until);
      const isOver = isWhole && documents.length < stepBounds.countMax;
      return { documents, isOver };
    },

    /**
     * Returns those of the events that exist now. `left` are the UUIDs that must be read again,
     * because the bytes of a step are used up.
     */
    async byUuid(
      uuids: readonly Uint8Array[],
      until: AbortSignal,
    ): Promise<{ documents: Uint8Array[]; left: Uint8Array[] }> {
      const _id = { $in: uuids.map((uuid) => keyOf(projectId, uuid)) };
      const options = { ...bounded, session, raw: true, batchSize: readAtOnce() };
      const read = takeStep(batchesOf(events.find<Uint8Array>({ _id }, options)));
      const { documents, isWhole } = await reading(read, until);
      if (isWhole) return { documents, left: [] };
      const taken = new Set(documents.map((each) => hex(new StoredEvent(each).uuidBytes)));
      return { documents, left: uuids.filter((uuid) => !taken.has(hex(uuid))) };
    },

    /**
     * Returns the digest of the documents of a range, as `hashed` reduces them; of the first ones,
     * up to a limit and some 32 MiB.
     */
    async digest(
      range: EventRange,
      until: AbortSignal,
      {
        hashed = (document) => document,
        limit,
      }: { hashed?: ((document: Uint8Array) => Uint8Array) | undefined; limit: number },
    ): Promise<EventDigest> {
      const digest = new EventDigest();
      let bytes = 0;
      const read = async () => {
        for await (const batch of rangeOf(events, projectId, range, { session }, { limit })) {
          until.throwIfAborted();
          for (const document of batch) {
            digest.add(hashed(document));
            bytes += document.length;
          }
          if (bytes > digestBytesMax) return;
        }
      };
      await reading(read(), until);
      return digest;
    },

    async [Symbol.asyncDispose](): Promise<void> {
      await session.endSession();
    },
  };
}

/** Yields the events of a range, oldest first, in batches as they arrive. */
export async function* rangeOf(
  events: Collection<CapturedEventDocument>,
  projectId: string,
  range: EventRange,
  { session }: StoreTransaction,
  { limit, batchSize = stepBounds.countMax }: { limit?: number; batchSize?: number } = {},
): AsyncGenerator<Uint8Array[]> {
  let count = 0;
  for (const { filter, sort } of queriesOf(projectId, range)) {
    if (count === limit) return;
    const found = events.find<Uint8Array>(filter, {
      ...{ ...bounded, ...readIn(session), sort, hint: byTime, raw: true, batchSize },
      ...(limit !== undefined && { limit: limit - count }),
    });
    for await (const batch of batchesOf(found)) {
      count += batch.length;
      yield batch;
    }
  }
}

/**
 * The queries that find a range, one after the other in its order. As one query with `$or`, the
 * server would merge sorted results, and take twice as long.
 */
function queriesOf(
  projectId: string,
  { after, last }: EventRange,
): { filter: Filter<CapturedEventDocument>; sort: Record<string, 1> }[] {
  const at = ({ timeMs }: EventPlace) => new Date(timeMs);
  const beyond = { $gt: uuidOf(after) };
  const upTo = { $lte: uuidOf(last) };
  const query = (time: object | Date, uuid?: object) => ({
    filter: {
      ...{ '_id.project': projectId, time },
      ...(uuid && { '_id.uuid': uuid }),
    } as Filter<CapturedEventDocument>,
    sort: { ...(uuid === undefined && { time: 1 as const }), '_id.uuid': 1 as const },
  });
  if (after.timeMs === last.timeMs) return [query(at(after), { ...beyond, ...upTo })];
  const isWhole = (place: EventPlace, end: EventPlace) => comparePlaces(place, end) === 0;
  return [
    ...(isWhole(after, firstPlace) ? [] : [query(at(after), beyond)]),
    query({ $gt: at(after), $lt: at(last) }),
    ...(isWhole(last, endPlace) ? [] : [query(at(last), upTo)]),
  ];
}

/** The collection of captured events for reads outside of transactions. */
export function eventsOf(db: Db): Collection<CapturedEventDocument> {
  return db.collection(collectionName, collectionOptions);
}

/** The place of a document. Does not keep the document in memory. Throws DamagedEvent. */
export function placeOf(document: Uint8Array): EventPlace {
  return readFrom(new StoredEvent(document), ({ time, uuidBytes }) => ({
    timeMs: time.getTime(),
    uuid: Uint8Array.from(uuidBytes),
  }));
}

/** A place as stored, also for queries. */
export function storedPlace(place: EventPlace): StoredPosition {
  return { time: new Date(place.timeMs), uuid: uuidOf(place) };
}

/** Converts a stored place. */
export function placeFrom({ time, uuid }: StoredPosition): EventPlace {
  return { timeMs: time.getTime(), uuid: bytesOf(uuid) };
}

/** The 16 bytes of a UUID as a map key. */
export function hex(uuid: Uint8Array): string {
  return Buffer.from(uuid.buffer, uuid.byteOffset, uuid.byteLength).toString('hex');
}

function uuidOf({ uuid }: EventPlace): Binary {
  return new Binary(uuid, Binary.SUBTYPE_UUID);
}
