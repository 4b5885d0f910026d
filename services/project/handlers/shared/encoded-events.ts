import { Encoded } from '@silo/rpc/encoded.ts';
import { writeUuid } from '../../rules/events/uuid.ts';
import type { StoredEvent } from '../../store/stored-event.ts';

/** The first byte of each encoded field: its number and wire type. */
const page = { events: 0x0a, nextPageToken: 0x12 };
const event = {
  ...{ uuid: 0x0a, name: 0x12, distinctId: 0x1a, timestamp: 0x22 },
  ...{ receiveTime: 0x2a, properties: 0x32 },
};
const time = { seconds: 0x08, nanos: 0x10 };

const uuidBytes = 36;
/** Maximum size of an encoded event minus the size of its document. */
const surplusBytes = 256;

/**
 * Encodes a page as QueryEventsResponse or ExportEventsResponse. Copies texts as stored: decoding
 * and encoding them takes more time than the rest of the page.
 */
export function encodedEvents(events: readonly StoredEvent[], nextPageToken: string): Encoded {
  const token = Buffer.from(nextPageToken);
  const bytesMax = events.reduce((sum, { sizeBytes }) => sum + sizeBytes + surplusBytes, 0);
  const writer = new Writer(bytesMax + token.length + surplusBytes);
  // Events that were received together have the same time.
  let received: { ms: number; bytes: Buffer } = { ms: Number.NaN, bytes: Buffer.alloc(0) };
  for (const stored of events) {
    const ms = stored.receiveTime.getTime();
    if (ms !== received.ms) received = { ms, bytes: timeBytes(ms) };
    writeEvent(writer, stored, received.bytes);
  }
  if (token.length > 0) writer.bytes(page.nextPageToken, token);
  return new Encoded(writer.written());
}

function writeEvent(writer: Writer, stored: StoredEvent, receiveTime: Buffer): void {
  const { nameText, distinctIdText, propertiesText } = stored;
  const timestamp = stored.timestampText ?? Buffer.from(stored.time.toISOString(), 'latin1');
  const texts = [nameText, distinctIdText, timestamp, receiveTime, propertiesText];
  const size = texts.reduce((sum, { length }) => sum + sizeOf(length), sizeOf(uuidBytes));
  writer.number(page.events, size);
  writer.uuid(event.uuid, stored.uuidBytes);
  writer.bytes(event.name, nameText);
  writer.bytes(event.distinctId, distinctIdText);
  writer.bytes(event.timestamp, timestamp);
  writer.bytes(event.receiveTime, receiveTime);
  writer.bytes(event.properties, propertiesText);
}

/** Encodes a google.protobuf.Timestamp. */
function timeBytes(ms: number): Buffer {
  const writer = new Writer(surplusBytes);
  writer.number(time.seconds, Math.floor(ms / 1_000));
  writer.number(time.nanos, (ms % 1_000) * 1_000_000);
  return writer.written();
}

/** The size of a field of this length, with its tag and length. */
function sizeOf(length: number): number {
  let size = 2 + length;
  for (let rest = length; rest >= 0x80; rest >>>= 7) size++;
  return size;
}

/** Writes consecutive fields into a buffer that has room for them. */
class Writer {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(bytesMax: number) {
    this.#buffer = Buffer.allocUnsafe(bytesMax);
  }

  /** Writes a number, or the length of a field. */
  number(tag: number, value: number): void {
    this.#buffer[this.#at++] = tag;
    let rest = value;
    // Numbers may exceed 32 bits: no shifts.
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) {
      this.#buffer[this.#at++] = (rest % 0x80) + 0x80;
    }
    this.#buffer[this.#at++] = rest;
  }

  bytes(tag: number, bytes: Buffer): void {
    this.number(tag, bytes.length);
    this.#buffer.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  uuid(tag: number, bytes: Buffer): void {
    this.number(tag, uuidBytes);
    writeUuid(bytes, this.#buffer, this.#at);
    this.#at += uuidBytes;
  }

  written(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }
}
