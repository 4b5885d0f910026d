import type { Access } from '@silo/access/access.ts';
import type { Permit } from '@silo/access/permits.ts';

/** How many permits were taken, and how many of them nobody has released. */
export type PermitCount = { taken: number; held: number };

/** Counts the permits that `access` gives. */
export function countPermits(access: Access, count: PermitCount): Access {
  const counted = (permit: Permit) => {
    count.taken++;
    count.held++;
    let isReleased = false;
    return () => {
      if (!isReleased) count.held--;
      isReleased = true;
      permit.release();
    };
  };
  return {
    recallToken: (token) => access.recallToken(token),
    verifyToken: (token, signal) => access.verifyToken(token, signal),
    authorize: (question, signal) => access.authorize(question, signal),
    permit: async (question, signal) => {
      const answer = await access.permit(question, signal);
      if (!answer.allowed) return answer;
      return { ...answer, permit: { ...answer.permit, release: counted(answer.permit) } };
    },
    permitToken: async (token, signal) => {
      const answer = await access.permitToken(token, signal);
      if (!answer.allowed) return answer;
      return { ...answer, permit: { ...answer.permit, release: counted(answer.permit) } };
    },
  };
}
