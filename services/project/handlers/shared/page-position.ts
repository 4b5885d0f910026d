import { errors } from '@silo/errors/errors.ts';
import { decodePageToken } from '@silo/mongo/page-token.ts';

/**
 * The place where a page begins: the given number of strings, or undefined for the first page.
 * Refuses with INVALID_FIELD `page_token` anything else: a token is not signed.
 */
export function positionOf(query: unknown, token: string, size: number): string[] | undefined {
  const position = decodePageToken(query, token);
  if (position === undefined) return undefined;
  const texts = position.filter((each) => typeof each === 'string');
  if (position.length === size && texts.length === size) return texts;
  throw errors.invalidField([{ field: 'page_token', description: 'is not one of ours' }]);
}
