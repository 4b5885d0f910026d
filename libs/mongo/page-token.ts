import { createHash } from 'node:crypto';
import { errors } from '@silo/errors/errors.ts';
import { BSON } from 'mongodb';
import type { Page } from './page.ts';

const { EJSON } = BSON;

const pageSizeDefault = 100;
const pageSizeMax = 1_000;
const queryHashSizeBytes = 12;

/** How many items a page holds: 100 by default, 1,000 at most (AIP-158). */
export function pageSizeOf(requested: number): number {
  return requested <= 0 ? pageSizeDefault : Math.min(requested, pageSizeMax);
}

/**
 * A page token: the sort key of the last item returned, bound to the query that it continues.
 * Opaque, not secret: the query is authorized again with every page.
 */
export function encodePageToken(query: unknown, sortKey: readonly unknown[]): string {
  const key = Buffer.from(EJSON.stringify(sortKey), 'utf8');
  return Buffer.concat([hashOf(query), key]).toString('base64url');
}

/** The token of the page after this one; empty on the last. `keyOf` answers an item's sort key. */
export function nextPageToken<Item>(
  query: unknown,
  { items, hasMore }: Page<Item>,
  keyOf: (item: Item) => readonly unknown[],
): string {
  const last = items.at(-1);
  return hasMore && last !== undefined ? encodePageToken(query, keyOf(last)) : '';
}

/** Reads one part of a sort key; returns undefined if the value is not such a part. */
type ReadPart<Part> = (value: unknown) => Part | undefined;

export function textPart(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

export function numberPart(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

export function timePart(value: unknown): Date | undefined {
  return value instanceof Date && !Number.isNaN(value.getTime()) ? value : undefined;
}

/**
 * Returns the sort key in a page token, each part read by its function; undefined for the first
 * page, whose token is empty. Refuses with INVALID_FIELD `page_token` a text that is not a token, a
 * token of another query, and a sort key with other parts: tokens are not signed, so a client can
 * forge one.
 */
export function decodePageToken<const Parts extends readonly unknown[]>(
  query: unknown,
  token: string,
  parts: { [Index in keyof Parts]: ReadPart<Parts[Index]> },
): Parts | undefined {
  if (token === '') return undefined;
  const sortKey = sortKeyIn(query, token);
  if (sortKey.length !== parts.length) throw invalid();
  const read = parts.map((readPart, index) => readPart(sortKey[index]));
  if (read.includes(undefined)) throw invalid();
  return read as unknown as Parts;
}

function sortKeyIn(query: unknown, token: string): unknown[] {
  const bytes = Buffer.from(token, 'base64url');
  const isCanonical = bytes.toString('base64url') === token;
  if (!isCanonical || !bytes.subarray(0, queryHashSizeBytes).equals(hashOf(query))) throw invalid();
  let sortKey: unknown;
  try {
    sortKey = EJSON.parse(bytes.subarray(queryHashSizeBytes).toString('utf8'));
  } catch {
    throw invalid();
  }
  if (!Array.isArray(sortKey)) throw invalid();
  return sortKey;
}

function hashOf(query: unknown): Buffer {
  const text = JSON.stringify(query);
  return createHash('sha256').update(text).digest().subarray(0, queryHashSizeBytes);
}

function invalid() {
  const description = 'is not a page token of this query. Leave it empty to start over.';
  return errors.invalidField([{ field: 'page_token', description }]);
}
