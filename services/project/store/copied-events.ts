import { rawDocuments } from '@silo/mongo/raw-documents.ts';
import { readIn } from '@silo/mongo/read.ts';
import { BSON, type Db } from 'mongodb';
import { CopiedChanges, type CopiedEvent } from '../rules/events/copied-changes.ts';
import type { EventPlace, EventRange } from '../rules/events/event-range.ts';
import { insertSome } from './captured-events.ts';
import { type CapturedEventDocument, keyOf } from './event-collection.ts';
import { batchesOf } from './event-queries.ts';
import { eventsOf, hex, rangeOf } from './migration-events.ts';
import { readFrom, StoredEvent, withoutChosen } from './stored-event.ts';
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

  /** Throws DamagedEvent. */
  get place(): EventPlace {
    return readFrom(this.#fields, ({ time, uuidBytes }) => ({
      timeMs: time.getTime(),
      uuid: uuidBytes,
    }));
  }

  get #fields(): StoredEvent {
    this.#event ??= new StoredEvent(this.document);
    return this.#event;
  }
}

/**
 * Maximum size of the events that one transaction removes from a copy: they are in the memory of
 * this process and of MongoDB. A larger single event is removed alone.
 */
const removedBytesMax = 16 * 1024 * 1024;

/** What a source has sent about some events of a copy. */
export type Comparable = {
  /** The events are all of this range, and those that were sent. */
  range?: EventRange;
  /** Without a range: the events. */
  uuids?: readonly Uint8Array[];
  /** Those of them that the source has. */
  sent: readonly EventBytes[];
  isReached: (place: EventPlace) => boolean;
  /** Maximum number of events to remove that were not sent. */
  absentMax: number;
};

/** The changes of stored events that make them equal to what the source has sent. */
export type Differences = {
  removed: EventBytes[];
  added: EventBytes[];
  /** False if there are more events to remove than one transaction may. */
  isWhole: boolean;
};

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

  /** Yields those of the given events that are stored, as they arrive. */
  const findSome = async function* (
    { session }: StoreTransaction,
    projectId: string,
    uuids: readonly Uint8Array[],
  ): AsyncGenerator<Uint8Array[]> {
    if (uuids.length === 0) return;
    const _id = { $in: uuids.map((uuid) => keyOf(projectId, uuid)) };
    yield* batchesOf(events.find<Uint8Array>({ _id }, { ...readIn(session), raw: true }));
  };

  /** Yields the stored events that the source has sent something about. */
  const compared = async function* (
    tx: StoreTransaction,
    projectId: string,
    { range, uuids = [], sent }: Comparable,
  ): AsyncGenerator<Uint8Array[]> {
    if (range === undefined) return yield* findSome(tx, projectId, uuids);
    const others = new Map(sent.map(({ key, place }) => [key, place.uuid]));
    for await (const batch of rangeOf(events, projectId, range, tx)) {
      for (const document of batch) others.delete(new EventBytes(document).key);
      yield batch;
    }
    yield* findSome(tx, projectId, [...others.values()]);
  };

  return {
    /**
     * Determines which events to remove and to add. Reads no more than one transaction may change,
     * whatever the size of the stored events.
     */
    async differences(
      tx: StoreTransaction,
      projectId: string,
      comparable: Comparable,
    ): Promise<Differences> {
      const { sent, isReached, absentMax } = comparable;
      const keys = new Set(sent.map(({ key }) => key));
      const changes = new CopiedChanges(sent, isReached);
      const removed: EventBytes[] = [];
      let [absent, bytes] = [0, 0];
      for await (const batch of compared(tx, projectId, comparable)) {
        for (const document of batch) {
          const event = new EventBytes(document);
          if (!changes.removes(event)) continue;
          absent += keys.has(event.key) ? 0 : 1;
          bytes += document.length;
          const isOver = absent > absentMax || bytes > removedBytesMax;
          if (isOver && removed.length > 0) return { removed, added: [], isWhole: false };
          // The document itself would keep the whole reply of MongoDB in memory.
          removed.push(new EventBytes(Buffer.from(document)));
        }
      }
      return { removed, added: changes.added, isWhole: true };
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
      const left = new Map(added.map(({ key, document }) => [key, document]));
      for await (const batch of findSome(tx, projectId, uuids)) {
        for (const stored of batch) {
          const { key } = new EventBytes(stored);
          if (Buffer.compare(left.get(key) ?? new Uint8Array(), stored) === 0) left.delete(key);
        }
      }
      if (left.size === 0) return;
      throw new CopyDiffers('an event is stored with other bytes than the source has sent');
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
