import { errors } from '@silo/errors/errors.ts';

/** The etag of what has this revision. */
export function etagOf(revision: number): string {
  return revision.toString(36);
}

/** The revision that an etag stands for; undefined for '', -1 for what was never an etag. */
export function revisionOf(etag: string): number | undefined {
  if (etag === '') return undefined;
  const revision = Number.parseInt(etag, 36);
  return etagOf(revision) === etag ? revision : -1;
}

/** Refuses with ETAG_MISMATCH where the caller saw another revision; an empty etag saw any. */
export function checkEtag(etag: string, revision: number): void {
  if (etag !== '' && etag !== etagOf(revision)) throw errors.etagMismatch();
}
