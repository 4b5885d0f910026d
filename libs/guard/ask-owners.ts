import type { Permit } from '@silo/mongo/mutation.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import { hashOf, isWellFormed } from '@silo/tokens/secrets.ts';
import type { Access, Answer, Fills, Question, TokenAnswer } from './access.ts';
import { judge, judgeKey } from './judge.ts';

/**
 * Access without a memory: every question asks the facts' owners, at the same time where one fact
 * does not depend on another. Throws what the fills throw.
 */
export function askOwners({ fills, clock }: { fills: Fills; clock: Clock }): Access {
  return {
    verifyToken: (token, signal) => verifyToken(fills, token, signal),
    authorize: (question, signal) => authorize(fills, question, clock, signal),
    permit: async (question, signal) => {
      const answer = await authorize(fills, question, clock, signal);
      return answer.allowed ? { ...answer, permit: lasting } : answer;
    },
  };
}

/** Nobody caches anything, so nobody waits for it either. */
const lasting: Permit = { isHeld: () => true, release: () => {} };

async function verifyToken(fills: Fills, token: string, signal: AbortSignal): Promise<TokenAnswer> {
  const refused: TokenAnswer = {
    allowed: false,
    refusal: { reason: ErrorReason.ERROR_REASON_TOKEN_INVALID, detail: '' },
  };
  if (!isWellFormed(token, 'phc_')) return refused;
  const fact = await fills.token(hashOf(token), signal);
  if (fact === undefined) return refused;
  const project = await fills.project(fact.projectId, signal);
  if (project?.state !== ProjectState.PROJECT_STATE_ACTIVE) return refused;
  return { allowed: true, projectId: fact.projectId, organizationId: project.organizationId };
}

async function authorize(
  fills: Fills,
  question: Question,
  clock: Clock,
  signal: AbortSignal,
): Promise<Answer> {
  const [key, target] = await Promise.all([
    fills.key(question.keyHash, signal),
    readTarget(fills, question, signal),
  ]);
  if (key === undefined || judgeKey(question, key, clock.now()) !== undefined) {
    return judge(question, key, {}, clock.now());
  }
  const organizationId = target.project?.organizationId ?? question.organizationId;
  if (!organizationId) return judge(question, key, target, clock.now());
  const [level, organization] = await Promise.all([
    fills.membership(key.accountId, organizationId, signal),
    target.organization ?? fills.organization(organizationId, signal),
  ]);
  return judge(question, key, { ...target, level, organization }, clock.now());
}

async function readTarget(fills: Fills, question: Question, signal: AbortSignal) {
  const { projectId, organizationId } = question;
  if (projectId && organizationId) {
    return { project: { organizationId, state: ProjectState.PROJECT_STATE_ACTIVE } };
  }
  if (question.projectId) return { project: await fills.project(question.projectId, signal) };
  if (question.organizationId) {
    return { organization: await fills.organization(question.organizationId, signal) };
  }
  return {};
}
