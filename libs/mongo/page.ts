import { Budget, takeWithin } from '@silo/runtime/budget.ts';
import { BSON, type Document, type FindCursor } from 'mongodb';
import { reading } from './read.ts';

/**
 * How many bytes of items one answer holds, unless a single item has more: a quarter of what gRPC
 * clients accept by default (4 MiB), so that what a handler adds to an item has room.
 */
export const pageBytesMax = 1024 * 1024;
/** How many documents one reply of MongoDB holds, so that few wait in memory for their turn. */
const replySize = 101;

/** A part of a list, and whether the list goes on after it. */
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

/** A page of a list that is in memory already, bounded likewise by each item's size in bytes. */
export function pageOf<Item>(
  items: readonly Item[],
  sizeMax: number,
  sizeOf: (item: Item) => number,
): Page<Item> {
  const taken = takeWithin(items, { countMax: sizeMax, bytesMax: pageBytesMax }, sizeOf);
  return { items: taken, hasMore: taken.length < items.length };
}
