import { errors } from '@silo/errors/errors.ts';

/**
 * The right to decide one mutation on access that was looked at when it was taken. Held until it is
 * released or expired, and then permanently: check it right before the commit.
 */
export type Permit = { isHeld(): boolean; release(): void };

/** Whether every permit is still held. */
export function areHeld(permits: readonly Permit[]): boolean {
  return permits.every((permit) => permit.isHeld());
}

/** Refuses with DEPENDENCY_UNAVAILABLE where a permit's time is over: nothing was decided. */
export function requireHeld(permits: readonly Permit[]): void {
  if (!areHeld(permits)) throw errors.dependencyUnavailable('the access registry');
}

/** Releases the permits and forgets them: nothing more is decided by them. */
export function releaseAll(permits: Permit[] | undefined): void {
  for (const permit of permits?.splice(0) ?? []) permit.release();
}

/** Leaves the permits to run out by themselves: what they were for may still be decided. */
export function leaveToExpire(permits: Permit[] | undefined): void {
  permits?.splice(0);
}
