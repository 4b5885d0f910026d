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

/**
 * The sort key behind a page token; undefined for the first page, which has none. Refuses with
 * INVALID_FIELD `page_token` what is no token, or one of another query.
 */
export function decodePageToken(query: unknown, token: string): unknown[] | undefined {
  if (token === '') return undefined;
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
  const description = 'is no page token of this query. Leave it empty to start over.';
  return errors.invalidField([{ field: 'page_token', description }]);
}
