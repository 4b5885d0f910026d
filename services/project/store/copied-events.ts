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

/** Keeps every BSON type, so that encoding the document again yields the same bytes. */
const faithfully = {
  ...{ promoteValues: false, promoteLongs: false, promoteBuffers: false, bsonRegExp: true },
};

/** A BSON document begins with its length and ends with a zero byte. */
const lengthSize = 4;
const uuidSize = 16;

/** A document of an event whose parts are decoded on use. */
export class EventBytes implements CopiedEvent {
  readonly document: Uint8Array;
  #event: StoredEvent | undefined;

  constructor(document: Uint8Array) {
    this.document = document;
  }

  get key(): string {
    return hex(this.#fields.idBytes);
  }

  /** The primary key as stored, so that a damaged one is found, too. */
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

/** The events that a copy has stored differ from those that its source has sent. */
export class CopyDiffers extends Error {
  override readonly name = 'CopyDiffers';
}

/** Whether two events are equal, apart from the values of chosen properties. */
export function isAlike({ document }: EventBytes, other: EventBytes | undefined): boolean {
  if (other === undefined) return false;
  return Buffer.compare(withoutChosen(document), withoutChosen(other.document)) === 0;
}

/** Reads and writes the events of copies, in the transactions that change them. */
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
    /** Returns those of the given events that are stored. */
    find,

    /** Returns all stored events of a range. */
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

    /** Returns events of a range whose keys are not given, up to a limit. */
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

    /** Counts the events of a range, up to a limit. */
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

    /**
     * Stores events of a project. Throws AlreadyThere, and CopyDiffers for events of other
     * projects.
     */
    async insert(
      tx: StoreTransaction,
      projectId: string,
      added: readonly EventBytes[],
    ): Promise<void> {
      if (added.length === 0) return;
      const documents = added.map(({ document }) => document);
      // The source names the project of each event that it sends: accept only events of this
      // project.
      if (!documents.every(isEventOf(projectId))) {
        throw new CopyDiffers('the source has sent an event that is not of the project');
      }
      await insertSome(db, tx, rawDocuments('documents', documents), documents.length);
    },

    /** Throws CopyDiffers unless these events are stored with exactly the received bytes. */
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

/**
 * Returns whether a document begins with the key of an event of the project: only the project and a
 * UUID.
 */
function isEventOf(projectId: string): (document: Uint8Array) => boolean {
  const beginning = BSON.serialize({ _id: keyOf(projectId, new Uint8Array(uuidSize)) });
  const key = beginning.subarray(lengthSize, -(uuidSize + 2));
  return (document) =>
    Buffer.compare(document.subarray(lengthSize, lengthSize + key.length), key) === 0;
}
