import type { Access } from '@silo/access/access.ts';
import { withAlteredPermits } from './altered-permits.ts';

/** Numbers of permits that were taken, and that are not released yet. */
export type PermitCount = { taken: number; held: number };

/** Counts the permits that `access` grants. */
export function countPermits(access: Access, count: PermitCount): Access {
  return withAlteredPermits(access, (permit) => {
    count.taken++;
    count.held++;
    let isReleased = false;
    const release = () => {
      if (!isReleased) count.held--;
      isReleased = true;
      permit.release();
    };
    return { ...permit, release };
  });
}
