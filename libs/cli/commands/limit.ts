import { InvalidArgumentError } from '@commander-js/extra-typings';

const pageSizeMax = 1_000;

/** Parses the number of items that a list shall show. */
export function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1)
    throw new InvalidArgumentError('Give a number of at least 1.');
  return count;
}

/** The first items of a list that may be too long to read whole, and how to see more. */
export async function firstOf<Thing>(
  limit: number,
  readPage: (page: {
    pageSize: number;
    pageToken: string;
  }) => Promise<{ things: Thing[]; nextPageToken: string }>,
  pagesMax = Number.POSITIVE_INFINITY,
): Promise<{ things: Thing[]; nextPageToken: string }> {
  const things: Thing[] = [];
  let nextPageToken = '';
  let pages = 0;
  do {
    const pageSize = Math.min(limit - things.length, pageSizeMax);
    const page = await readPage({ pageSize, pageToken: nextPageToken });
    things.push(...page.things);
    nextPageToken = page.nextPageToken;
    pages++;
  } while (nextPageToken !== '' && things.length < limit && pages < pagesMax);
  return { things, nextPageToken };
}
