import type { Access } from '@silo/access/access.ts';
import type { Permit } from '@silo/access/permits.ts';

/** The same access checks, with `alter` applied to every permit that they grant. */
export function withAlteredPermits(access: Access, alter: (permit: Permit) => Permit): Access {
  return {
    recallToken: (token) => access.recallToken(token),
    verifyToken: (token, signal) => access.verifyToken(token, signal),
    authorize: (question, signal) => access.authorize(question, signal),
    permit: async (question, signal) => {
      const answer = await access.permit(question, signal);
      return answer.allowed ? { ...answer, permit: alter(answer.permit) } : answer;
    },
    permitToken: async (token, signal) => {
      const answer = await access.permitToken(token, signal);
      return answer.allowed ? { ...answer, permit: alter(answer.permit) } : answer;
    },
  };
}
