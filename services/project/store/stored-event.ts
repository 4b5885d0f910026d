import { BSON } from 'mongodb';
import { alwaysIndexed, placesMax } from '../rules/events/indexed-properties.ts';
import { ParsedProperties } from '../rules/events/parsed-properties.ts';
import { uuidText } from '../rules/events/uuid.ts';

type Field = BSON.OnDemand['BSONElement'];

/** A stored event that cannot be decoded; the message names the event. */
export class DamagedEvent extends Error {
  override readonly name = 'DamagedEvent';

  constructor(event: StoredEvent, cause: unknown) {
    const { message } = cause instanceof Error ? cause : new Error(String(cause));
    // The message of a SyntaxError would quote the event.
    const why = cause instanceof SyntaxError ? 'its properties are not JSON' : message;
    super(`The event ${event.label} cannot be decoded: ${why}`);
  }
}

/** Reads something from a stored event. Throws DamagedEvent. */
export function readFrom<T>(event: StoredEvent, read: (event: StoredEvent) => T): T {
  try {
    return read(event);
  } catch (error) {
    throw new DamagedEvent(event, error);
  }
}

/** In BSON, length and subtype precede a binary's value, and the length precedes a string. */
const binaryHead = 5;
const stringHead = 4;
/** A document begins with its length, and ends with a zero byte. */
const documentHead = 4;
const uuidSize = 16;

/**
 * A stored event as MongoDB sent it. Most events of a page are passed on unchanged: a field is
 * decoded at each use; properties are parsed once.
 */
export class StoredEvent {
  readonly #bytes: Buffer;
  readonly #fields: readonly Field[];
  #parsed: ParsedProperties | undefined;

  constructor(document: Uint8Array) {
    this.#bytes = Buffer.from(document.buffer, document.byteOffset, document.byteLength);
    this.#fields = [...BSON.onDemand.parseToElements(document)];
  }

  get sizeBytes(): number {
    return this.#bytes.length;
  }

  get uuid(): string {
    return uuidText(this.uuidBytes);
  }

  /** The UUID, or the whole primary key if it has no UUID; for people. */
  get label(): string {
    const id: unknown = BSON.deserialize(this.idBytes);
    const { uuid } = Object(id);
    const isUuid = uuid instanceof BSON.Binary && uuid.buffer.length === uuidSize;
    return isUuid ? uuidText(uuid.buffer) : BSON.EJSON.stringify(id);
  }

  get name(): string {
    return this.nameText.toString();
  }

  get distinctId(): string {
    return this.distinctIdText.toString();
  }

  /** In milliseconds, for queries and sorting. */
  get time(): Date {
    return this.#date(this.#field('time'));
  }

  /** The time as sent. */
  get timestamp(): string {
    return this.timestampText?.toString() ?? this.time.toISOString();
  }

  get receiveTime(): Date {
    return this.#date(this.#field('receiveTime'));
  }

  /** The text of a JSON object. */
  get properties(): string {
    return this.propertiesText.toString();
  }

  /** The properties for comparison with filters. */
  get parsed(): ParsedProperties {
    this.#parsed ??= new ParsedProperties(() => this.properties);
    return this.#parsed;
  }

  /** Number of deletions of the project's events before the capture. */
  get generation(): number {
    const field = this.#find('generation', this.#fields);
    return field === undefined ? 0 : this.#bytes.readInt32LE(field[3]);
  }

  /** The primary key as BSON. */
  get idBytes(): Buffer {
    const [, , , offset, length] = this.#field('_id');
    return this.#bytes.subarray(offset, offset + length);
  }

  get uuidBytes(): Buffer {
    const [, , , offset] = this.#field('_id');
    const fields = [...BSON.onDemand.parseToElements(this.#bytes, offset)];
    return this.#binary(this.#field('uuid', fields));
  }

  /** The following fields as UTF-8 bytes. */
  get nameText(): Buffer {
    return this.#string(this.#field('name'));
  }

  get distinctIdText(): Buffer {
    return this.#string(this.#field('distinctId'));
  }

  get propertiesText(): Buffer {
    return this.#binary(this.#field('properties'));
  }

  /** Undefined if the time was sent as `toISOString` formats it. */
  get timestampText(): Buffer | undefined {
    const field = this.#find('timestamp', this.#fields);
    return field && this.#string(field);
  }

  #field(name: string, fields = this.#fields): Field {
    const field = this.#find(name, fields);
    if (field === undefined) throw new TypeError(`a stored event has no ${name}`);
    return field;
  }

  #find(name: string, fields: readonly Field[]): Field | undefined {
    return fields.find(([, start, length]) => {
      if (length !== name.length) return false;
      for (let at = 0; at < length; at++) {
        if (this.#bytes[start + at] !== name.charCodeAt(at)) return false;
      }
      return true;
    });
  }

  #string([, , , offset, length]: Field): Buffer {
    return this.#bytes.subarray(offset + stringHead, offset + length - 1);
  }

  #binary([, , , offset]: Field): Buffer {
    const start = offset + binaryHead;
    return this.#bytes.subarray(start, start + this.#bytes.readInt32LE(offset));
  }

  #date([, , , offset]: Field): Date {
    // In two halves: a bigint would take longer.
    return new Date(
      this.#bytes.readInt32LE(offset + 4) * 2 ** 32 + this.#bytes.readUInt32LE(offset),
    );
  }
}

/**
 * The document without the values of indexed properties: these are derived from its properties, and
 * rewritten when the project's choice changes. Equal for equal events.
 */
export function withoutChosen(document: Uint8Array): Uint8Array {
  const kept: Uint8Array[] = [];
  let at = documentHead;
  for (const field of BSON.onDemand.parseToElements(document)) {
    if (!isChosen(document, field)) continue;
    const [, name, , offset, length] = field;
    // The byte before the name is the type.
    kept.push(document.subarray(at, name - 1));
    at = offset + length;
  }
  return Buffer.concat([...kept, document.subarray(at)]);
}

/** Whether a field is the value of a chosen property: x2 to x7. */
function isChosen(document: Uint8Array, [, start, length]: Field): boolean {
  const place = (document[start + 1] ?? 0) - '0'.charCodeAt(0);
  const isPlace = length === 2 && document[start] === 'x'.charCodeAt(0);
  return isPlace && place >= alwaysIndexed.size && place < placesMax;
}
