import { InvalidArgumentError } from '@commander-js/extra-typings';

const pageSizeMax = 1_000;

/** How many a list shall have. */
export function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1)
    throw new InvalidArgumentError('Give a number from 1.');
  return count;
}

/** The first things of a list that has no end worth waiting for, and the way to more. */
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
