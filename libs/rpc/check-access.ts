import type { Access, AccessFacts, Answer, Question } from '@silo/access/access.ts';
import { type Call, keyCaller } from './call.ts';
import { refusalError } from './refusal.ts';

/**
 * Checks access on behalf of a call. If the call may change something, an allowed check returns a
 * permit, which `call.authorization` holds for the deciding transaction; it is released at the
 * latest when the handler ends. Make checks one after another, and never concurrently with
 * something that may fail: a permit that arrives after the end of its handler would not be
 * released.
 */
export async function checkAccess(access: Access, call: Call, question: Question): Promise<Answer> {
  const { authorization, signal } = call;
  if (authorization === undefined) return await access.authorize(question, signal);
  const answer = await access.permit(question, signal);
  if (answer.allowed) authorization.addPermit(answer.permit);
  return answer;
}

/**
 * Checks access that the call requires, and refuses the call if it is not allowed. A repeat of the
 * request must pass the same check again.
 */
export async function demand(
  access: Access,
  call: Call,
  { bypassesCache, ...demanded }: Omit<Question, 'keyHash'>,
): Promise<AccessFacts> {
  const { keyHash } = keyCaller(call);
  const answer = await checkAccess(access, call, { keyHash, ...demanded, bypassesCache });
  if (!answer.allowed) throw refusalError(answer.refusal);
  call.authorization?.addDemand(demanded);
  return answer.facts;
}

/**
 * Runs work that may take long before a mutation is decided, such as a request to another region.
 * No permit is held meanwhile, so that no revocation waits for it. Afterwards it checks access
 * again, and refuses what is no longer allowed. Also returns the facts of that check, because the
 * target may belong to another organization by then.
 */
export async function beforePermit<T>(
  { access, call }: { access: Access; call: Call },
  needs: Omit<Question, 'keyHash'>,
  work: () => Promise<T>,
): Promise<[T, AccessFacts]> {
  call.authorization?.release();
  const result = await work();
  return [result, await demand(access, call, needs)];
}
