import type { Access } from '@silo/access/access.ts';

/** How many permits were taken, and how many of them nobody has released. */
export type PermitCount = { taken: number; held: number };

/** Counts the permits that `access` gives. */
export function countPermits(access: Access, count: PermitCount): Access {
  return {
    verifyToken: (token, signal) => access.verifyToken(token, signal),
    authorize: (question, signal) => access.authorize(question, signal),
    permit: async (question, signal) => {
      const answer = await access.permit(question, signal);
      if (!answer.allowed) return answer;
      count.taken++;
      count.held++;
      let isReleased = false;
      const release = () => {
        if (!isReleased) count.held--;
        isReleased = true;
        answer.permit.release();
      };
      return { ...answer, permit: { isHeld: () => answer.permit.isHeld(), release } };
    },
  };
}
