import { rawDocuments } from '@silo/mongo/raw-documents.ts';
import { reading } from '@silo/mongo/read.ts';
import { BSON, type Db } from 'mongodb';
import type { CopiedEvent } from '../rules/events/copied-changes.ts';
import type { EventPlace, EventRange } from '../rules/events/event-range.ts';
import { insertSome } from './captured-events.ts';
import { type CapturedEventDocument, keyOf } from './event-collection.ts';
import { countIn, eventsOf, hex, rangeOf } from './migration-events.ts';
import { StoredEvent, withoutChosen } from './stored-event.ts';
import type { StoreTransaction } from './usage.ts';

/** Every type of BSON stays what it is, so that the document is encoded as it was. */
const faithfully = {
  ...{ promoteValues: false, promoteLongs: false, promoteBuffers: false, bsonRegExp: true },
};

/** In BSON a document begins with its length, and ends with a zero. */
const lengthSize = 4;
const uuidSize = 16;

/** A document of an event, whose parts are read when they are used. */
export class EventBytes implements CopiedEvent {
  readonly document: Uint8Array;
  #event: StoredEvent | undefined;

  constructor(document: Uint8Array) {
    this.document = document;
  }

  get key(): string {
    return hex(this.#fields.idBytes);
  }

  /** The primary key, as it is, so that one that is damaged is found, too. */
  get id(): CapturedEventDocument['_id'] {
    return BSON.deserialize(this.#fields.idBytes, faithfully) as CapturedEventDocument['_id'];
  }

  get place(): EventPlace {
    return { timeMs: this.#fields.time.getTime(), uuid: this.#fields.uuidBytes };
  }

  get #fields(): StoredEvent {
    this.#event ??= new StoredEvent(this.document);
    return this.#event;
  }
}

/** What a copy has stored of an event is not what its source has sent. */
export class CopyDiffers extends Error {
  override readonly name = 'CopyDiffers';
}

/** Whether two events are equal, apart from the values of chosen properties. */
export function isAlike({ document }: EventBytes, other: EventBytes | undefined): boolean {
  if (other === undefined) return false;
  return Buffer.compare(withoutChosen(document), withoutChosen(other.document)) === 0;
}

/** The events of copies, in the transactions that change them. */
export function createCopiedEvents(db: Db) {
  const events = eventsOf(db);

  const find = async (
    { session }: StoreTransaction,
    projectId: string,
    uuids: readonly Uint8Array[],
  ): Promise<EventBytes[]> => {
    if (uuids.length === 0) return [];
    const _id = { $in: uuids.map((uuid) => keyOf(projectId, uuid)) };
    const found = await events.find<Uint8Array>({ _id }, { session, raw: true }).toArray();
    return found.map((document) => new EventBytes(document));
  };

  return {
    /** Those of some events that are stored. */
    find,

    /** All that are stored in a range. */
    async inRange(
      tx: StoreTransaction,
      projectId: string,
      range: EventRange,
    ): Promise<EventBytes[]> {
      const found: EventBytes[] = [];
      for await (const batch of rangeOf(events, projectId, range, tx)) {
        for (const document of batch) found.push(new EventBytes(document));
      }
      return found;
    },

    /** Those in a range whose keys are not given: some of them, if there are many. */
    async othersInRange(
      tx: StoreTransaction,
      projectId: string,
      range: EventRange,
      { kept, limit }: { kept: ReadonlySet<string>; limit: number },
    ): Promise<EventBytes[]> {
      const found: EventBytes[] = [];
      const read = { limit: kept.size + limit };
      for await (const batch of rangeOf(events, projectId, range, tx, read)) {
        for (const document of batch) {
          const event = new EventBytes(document);
          if (found.length < limit && !kept.has(event.key)) found.push(event);
        }
      }
      return found;
    },

    /** How many are in a range, up to a number. */
    async count(
      projectId: string,
      range: EventRange,
      limit: number,
      signal: AbortSignal,
    ): Promise<number> {
      return await reading(countIn(events, projectId, range, limit), signal);
    },

    async remove({ session }: StoreTransaction, removed: readonly EventBytes[]): Promise<void> {
      if (removed.length === 0) return;
      const _id = { $in: removed.map(({ id }) => id) };
      await events.deleteMany({ _id }, { session });
    },

    /** Stores events of a project; throws AlreadyThere, and CopyDiffers for events that are not of it. */
    async insert(
      tx: StoreTransaction,
      projectId: string,
      added: readonly EventBytes[],
    ): Promise<void> {
      if (added.length === 0) return;
      const documents = added.map(({ document }) => document);
      // The source names the projects of what it sends: it may send those of one alone.
      if (!documents.every(isEventOf(projectId))) {
        throw new CopyDiffers('the source has sent an event that is not of the project');
      }
      await insertSome(db, tx, rawDocuments('documents', documents), documents.length);
    },

    /** Throws CopyDiffers unless these events are stored byte by byte as they were received. */
    async requireStored(
      tx: StoreTransaction,
      projectId: string,
      added: readonly EventBytes[],
    ): Promise<void> {
      const uuids = added.map(({ place }) => place.uuid);
      const stored = new Map(
        (await find(tx, projectId, uuids)).map(({ key, document }) => [key, document]),
      );
      for (const { key, document } of added) {
        if (Buffer.compare(stored.get(key) ?? new Uint8Array(), document) === 0) continue;
        throw new CopyDiffers('an event is stored with other bytes than the source has sent');
      }
    },
  };
}

/** Whether a document begins with a key as events of the project have it: nothing but that and a UUID. */
function isEventOf(projectId: string): (document: Uint8Array) => boolean {
  const beginning = BSON.serialize({ _id: keyOf(projectId, new Uint8Array(uuidSize)) });
  const key = beginning.subarray(lengthSize, -(uuidSize + 2));
  return (document) =>
    Buffer.compare(document.subarray(lengthSize, lengthSize + key.length), key) === 0;
}
