import { limit } from '@silo/runtime/limit.ts';

/**
 * Works on each item, so many at a time. A failure keeps no other item from its turn: rejects, once all
 * have had theirs, with the first one.
 */
export async function each<Item>(
  items: readonly Item[],
  atOnce: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const inTurn = limit({ atOnce, waitingMax: items.length });
  const ended = await Promise.allSettled(items.map((item) => inTurn(() => work(item))));
  const failed = ended.find((end) => end.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
