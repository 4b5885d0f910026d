/** Time for which a deleted project can be undeleted. */
const retentionMs = 7 * 24 * 60 * 60 * 1000;
/** Retention as measured by MongoDB's clock. Allows one minute of clock skew. */
export const restorableMsMin = retentionMs - 60_000;

/** Time at which a project that is deleted now is purged, with its token. */
export function purgeTimeOf(now: Date): Date {
  return new Date(now.getTime() + retentionMs);
}
