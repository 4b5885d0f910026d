/** How long a deleted project can be undeleted. */
const retentionMs = 7 * 24 * 60 * 60 * 1000;
/** The same by another clock. Those that are set are closer than a minute. */
export const restorableMsMin = retentionMs - 60_000;

/** When a project that is deleted now is purged, with its token. */
export function purgeTimeOf(now: Date): Date {
  return new Date(now.getTime() + retentionMs);
}
