import { errors } from '@silo/errors/errors.ts';
import type { Access, AccessFacts, Question } from '@silo/guard/access.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
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

/**
 * Demands that the caller may create projects in an organization. Asked as one question, so that
 * what was just granted is not refused from memory. Answers the organization's facts.
 */
export async function authorizeCreation(
  access: Access,
  call: Call,
  organizationId: string,
): Promise<NonNullable<AccessFacts['organization']>> {
  const needs = { scope: 'project:write', level: Level.LEVEL_MEMBER, createsProjects: true };
  const { organization } = await authorize(access, call, { ...needs, organizationId });
  if (organization === undefined) throw errors.organizationNotFound(organizationId);
  return organization;
}
