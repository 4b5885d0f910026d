import { errors } from '@silo/errors/errors.ts';

/** The etag of a resource with this revision. */
export function etagOf(revision: number): string {
  return revision.toString(36);
}

/** The revision of an etag; undefined for '', -1 for a text that is not an etag. */
export function revisionOf(etag: string): number | undefined {
  if (etag === '') return undefined;
  const revision = Number.parseInt(etag, 36);
  return etagOf(revision) === etag ? revision : -1;
}

/**
 * Refuses with ETAG_MISMATCH if the caller read another revision; an empty etag matches any
 * revision.
 */
export function checkEtag(etag: string, revision: number): void {
  if (etag !== '' && etag !== etagOf(revision)) throw errors.etagMismatch();
}
