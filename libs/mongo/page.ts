import { Budget, takeWithin } from '@silo/runtime/budget.ts';
import { BSON, type Document, type FindCursor } from 'mongodb';
import { reading } from './read.ts';

/**
 * Maximum size of one answer's items in bytes, unless a single item is larger. It is a quarter of
 * what gRPC clients accept by default (4 MiB), so that a handler has room to add to each item.
 */
export const pageBytesMax = 1024 * 1024;
/** Number of documents in one reply of MongoDB, so that few wait in memory. */
const replySize = 101;

/** A part of a list, and whether more follows. */
export type Page<Item> = { items: Item[]; hasMore: boolean };

/**
 * Reads a page of at most `sizeMax` documents and `pageBytesMax` bytes of BSON, whichever comes
 * first, but at least one document if there is any, until the signal. Refuses with
 * DEPENDENCY_UNAVAILABLE.
 */
export async function readPage<Found extends Document>(
  query: FindCursor<Found>,
  sizeMax: number,
  signal: AbortSignal,
): Promise<Page<Found>> {
  const budget = new Budget({ countMax: sizeMax, bytesMax: pageBytesMax });
  const items: Found[] = [];
  const take = async () => {
    for await (const found of query.limit(sizeMax + 1).batchSize(replySize)) {
      if (!budget.take(BSON.calculateObjectSize(found))) return { items, hasMore: true };
      items.push(found);
    }
    return { items, hasMore: false };
  };
  return await reading(take(), signal);
}

/**
 * A page of a list that is already in memory, limited in the same way by the size of each item in
 * bytes.
 */
export function pageOf<Item>(
  items: readonly Item[],
  sizeMax: number,
  sizeOf: (item: Item) => number,
): Page<Item> {
  const taken = takeWithin(items, { countMax: sizeMax, bytesMax: pageBytesMax }, sizeOf);
  return { items: taken, hasMore: taken.length < items.length };
}
