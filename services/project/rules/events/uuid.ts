import { createHash } from 'node:crypto';

const form = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const hexDigits = '0123456789abcdef';
const hyphen = '-'.charCodeAt(0);

/** A UUID of any version in its text form, in lower case; undefined for another text. */
export function canonicalUuid(text: string): string | undefined {
  const lower = text.toLowerCase();
  return form.test(lower) ? lower : undefined;
}

/**
 * A UUID of version 7 (RFC 9562): sorts by time, so that new UUIDs are adjacent in an index.
 * `random` are 10 random bytes.
 */
export function timeOrderedUuid(now: Date, random: Uint8Array): string {
  return withTime(now, random, 7);
}

/**
 * A UUID of version 8 (RFC 9562) derived from a time and a text: equal for equal input, and
 * different for other input by 122 - 48 bits of SHA-256. Sorts by time, like version 7.
 */
export function contentUuid(time: Date, text: string): string {
  return withTime(time, createHash('sha256').update(text).digest(), 8);
}

function withTime(time: Date, others: Uint8Array, version: 7 | 8): string {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(Math.max(0, time.getTime()), 0, 6);
  bytes.set(others.subarray(0, 10), 6);
  bytes[6] = (version << 4) | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  return uuidText(bytes);
}

/** The text form of a UUID's 16 bytes. */
export function uuidText(bytes: Uint8Array): string {
  const text = Buffer.allocUnsafe(36);
  writeUuid(bytes, text, 0);
  return text.toString('latin1');
}

/** Writes the text form of a UUID's 16 bytes, which takes 36 bytes. */
export function writeUuid(bytes: Uint8Array, target: Uint8Array, at: number): void {
  let next = at;
  for (let index = 0; index < 16; index++) {
    if (index === 4 || index === 6 || index === 8 || index === 10) target[next++] = hyphen;
    const byte = bytes[index] ?? 0;
    target[next++] = hexDigits.charCodeAt(byte >> 4);
    target[next++] = hexDigits.charCodeAt(byte & 0x0f);
  }
}
