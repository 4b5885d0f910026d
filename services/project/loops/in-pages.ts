/**
 * Reads a list that is ordered by id, a page each time, and after the last page the first again: however
 * long it is, each item has its turn.
 */
export function inPages<Item extends { _id: string }>(
  sizeMax: number,
  read: (after: string, signal: AbortSignal) => Promise<Item[]>,
): (signal: AbortSignal) => Promise<Item[]> {
  let after = '';
  return async (signal) => {
    const page = await read(after, signal);
    after = page.length < sizeMax ? '' : (page.at(-1)?._id ?? '');
    return page;
  };
}
