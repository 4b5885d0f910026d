import type { Access } from '@silo/access/access.ts';

const permit = { remainingMs: () => 30_000, release: () => {} };

/** A permit without an end, for access checks without a cache; no barrier waits for it. */
export function lastingPermit(authorize: Access['authorize']): Access['permit'] {
  return async (question, signal) => {
    const answer = await authorize(question, signal);
    if (!answer.allowed) return answer;
    return { ...answer, permit };
  };
}

/** The same for project tokens. */
export function lastingTokenPermit(verifyToken: Access['verifyToken']): Access['permitToken'] {
  return async (token, signal) => {
    const answer = await verifyToken(token, signal);
    if (!answer.allowed) return answer;
    return { ...answer, permit };
  };
}
