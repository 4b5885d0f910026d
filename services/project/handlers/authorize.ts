import type { Access, AccessFacts, Question } from '@silo/guard/access.ts';
import { ask } from '@silo/rpc/ask.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import { refusalError } from '@silo/rpc/refusal.ts';

/** Demands of the caller what the method's option could not say. Refuses as the option would. */
export async function authorize(
  access: Access,
  call: Call,
  question: Omit<Question, 'keyHash'>,
): Promise<AccessFacts> {
  const { keyHash } = keyCaller(call);
  const answer = await ask(access, call, { keyHash, ...question });
  if (!answer.allowed) throw refusalError(answer.refusal);
  return answer.facts;
}
