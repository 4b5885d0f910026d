import type { Access } from '@silo/access/access.ts';

/** How those answer who cache nothing, so that nobody waits for their permits: with one that lasts. */
export function lastingPermit(authorize: Access['authorize']): Access['permit'] {
  return async (question, signal) => {
    const answer = await authorize(question, signal);
    if (!answer.allowed) return answer;
    return { ...answer, permit: { isHeld: () => true, release: () => {} } };
  };
}
