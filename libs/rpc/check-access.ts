import type { Access, AccessFacts, Answer, Question } from '@silo/access/access.ts';
import { type Call, keyCaller } from './call.ts';
import { refusalError } from './refusal.ts';

/**
 * Checks access on behalf of a call. If the call may change something, an allowed answer comes
 * with a permit, which `call.authorization` holds for the transaction that decides; released at
 * the latest when the handler has ended. One check after another, never beside what may fail: a
 * permit that comes later than the end of its handler would not be released.
 */
export async function checkAccess(access: Access, call: Call, question: Question): Promise<Answer> {
  const { authorization, signal } = call;
  if (authorization === undefined) return await access.authorize(question, signal);
  const answer = await access.permit(question, signal);
  if (answer.allowed) authorization.addPermit(answer.permit);
  return answer;
}

/**
 * Checks access that the call requires, and refuses if it is not allowed. A repeat of the
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
 * Does what may take long before a mutation is decided, such as asking another region. No permit is
 * held meanwhile, so that no revocation waits for it. Refuses then what is not allowed any more. Answers
 * also what stands behind that: the target may belong to another organization than before.
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
