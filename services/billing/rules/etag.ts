import { errors } from '@silo/errors/errors.ts';

/** The etag of an entity whose changes `revision` counts. */
export function etagOf(revision: number): string {
  return revision.toString(36);
}

/** Refuses with ETAG_MISMATCH where the caller saw another revision; an empty etag saw any. */
export function checkEtag(etag: string, revision: number): void {
  if (etag !== '' && etag !== etagOf(revision)) throw errors.etagMismatch();
}
