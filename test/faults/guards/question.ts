import type { Answer, TokenAnswer } from '@silo/access/access.ts';
import type { Guard, Need } from '@silo/guard/create-guard.ts';
import type { Level } from '@silo/protos/gen/silo/common/v1/level.ts';

/** One access: the check, and the decision that accepts it. */
export type AskedAccess =
  /** This token writes into a project of this organization. */
  | { kind: 'token'; token: string; organizationId: string }
  /** This key may do that there. */
  | {
      kind: 'key';
      key: string;
      scope: string;
      organizationId?: string | undefined;
      projectId?: string | undefined;
      level?: Level | undefined;
      /** And members may create projects in the organization. */
      membersMayCreate?: boolean | undefined;
    };

/** A numbered access, which all guards check. */
export type Question = AskedAccess & { id: number };

/** Asks a guard whether the access is accepted; it answers in the same turn where it can. */
export function isAccepted(
  guard: Guard,
  asked: AskedAccess,
  signal: AbortSignal,
): boolean | Promise<boolean> {
  const answer =
    asked.kind === 'token'
      ? guard.verifyToken(asked.token, signal)
      : guard.authorize(asked.key, needOf(asked), signal);
  return answer instanceof Promise
    ? answer.then((late) => accepts(asked, late))
    : accepts(asked, answer);
}

/** What a key is needed for. */
export function needOf(asked: Extract<AskedAccess, { kind: 'key' }>): Need {
  const { scope, organizationId, projectId, level } = asked;
  return {
    scope,
    ...(organizationId !== undefined && { organizationId }),
    ...(projectId !== undefined && { projectId }),
    ...(level !== undefined && { level }),
  };
}

/** Whether an answer accepts the access. */
export function accepts(asked: AskedAccess, answer: TokenAnswer | Answer): boolean {
  if (!answer.allowed) return false;
  if ('projectId' in answer) {
    return asked.kind === 'token' && answer.organizationId === asked.organizationId;
  }
  if (asked.kind === 'key' && asked.membersMayCreate) {
    return answer.facts.organization?.fact.membersMayCreateProjects === true;
  }
  return true;
}
