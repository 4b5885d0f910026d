import type { Access, Answer, FactReader, Question, TokenAnswer } from '@silo/access/access.ts';
import { fingerprintOf, isWellFormed } from '@silo/tokens/secrets.ts';
import { type Known, nameOf } from '../core/facts.ts';
import { type AccessCheck, decide, foundKey, type Recall } from '../core/lookup.ts';
import { tokenRefused } from '../core/memory.ts';
import { fetchFact } from '../fetch-fact.ts';
import { lastingPermit, lastingTokenPermit } from './lasting-permit.ts';

/** Access without a cache, for tests: every fact is fetched from its owner. */
export function checkByOwners(factReader: FactReader): Access {
  const answer = async (check: AccessCheck, signal: AbortSignal) => {
    const found = new Map<string, Known<unknown>>();
    const recall: Recall = (kind, id) => found.get(foundKey(kind, id)) as never;
    for (;;) {
      const verdict = decide(check, recall, new Date());
      if ('answer' in verdict) return verdict.answer;
      for (const ref of verdict.missing) {
        const value = await fetchFact(factReader, ref, signal);
        found.set(foundKey(ref.kind, ref.id), { value, name: nameOf(ref, value as never) });
      }
    }
  };
  const authorize = async (question: Question, signal: AbortSignal) => {
    const keyHash = Buffer.from(question.keyHash).toString('hex');
    return (await answer({ kind: 'access', question, keyHash }, signal)) as Answer;
  };
  const verifyToken = async (token: string, signal: AbortSignal) => {
    if (!isWellFormed(token, 'phc_')) return tokenRefused;
    const check: AccessCheck = { kind: 'token', token, fingerprint: fingerprintOf(token) };
    return (await answer(check, signal)) as TokenAnswer;
  };
  return {
    recallToken: (token) => (isWellFormed(token, 'phc_') ? undefined : tokenRefused),
    verifyToken,
    authorize,
    permit: lastingPermit(authorize),
    permitToken: lastingTokenPermit(verifyToken),
  };
}
