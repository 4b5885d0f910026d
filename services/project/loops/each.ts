import { limit } from '@silo/runtime/limit.ts';

/**
 * Works on all items, with limited concurrency. A failure does not skip other items: after all are
 * done, rejects with the first failure.
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
