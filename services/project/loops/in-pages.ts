/**
 * Reads a list that is ordered by id, one page per call, and starts again after the last page, so
 * that every item has its turn however long the list is.
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
