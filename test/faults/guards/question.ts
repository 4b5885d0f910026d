import type { Answer, TokenAnswer } from '@silo/access/access.ts';
import type { Guard, Need } from '@silo/guard/create-guard.ts';
import type { Level } from '@silo/protos/gen/silo/common/v1/level.ts';

/** One access: the check, and the decision that accepts it. */
export type CheckedAccess =
  /** This token stores events in a project of this organization. */
  | { kind: 'token'; token: string; organizationId: string }
  /** This key has this access. */
  | {
      kind: 'key';
      key: string;
      scope: string;
      organizationId?: string | undefined;
      projectId?: string | undefined;
      level?: Level | undefined;
      /** Requires also that members may create projects in the organization. */
      membersMayCreate?: boolean | undefined;
    };

/** A numbered access, which all guards check. */
export type Question = CheckedAccess & { id: number };

/** Checks whether a guard accepts the access; synchronous if the guard can answer from memory. */
export function isAccepted(
  guard: Guard,
  access: CheckedAccess,
  signal: AbortSignal,
): boolean | Promise<boolean> {
  const answer =
    access.kind === 'token'
      ? guard.verifyToken(access.token, signal)
      : guard.authorize(access.key, needOf(access), signal);
  return answer instanceof Promise
    ? answer.then((late) => accepts(access, late))
    : accepts(access, answer);
}

/** The access that a key needs. */
export function needOf(access: Extract<CheckedAccess, { kind: 'key' }>): Need {
  const { scope, organizationId, projectId, level } = access;
  return {
    scope,
    ...(projectId === undefined ? { organizationId } : { projectId }),
    ...(level !== undefined && { level }),
  };
}

/** Whether an answer accepts the access. */
export function accepts(access: CheckedAccess, answer: TokenAnswer | Answer): boolean {
  if (!answer.allowed) return false;
  if ('projectId' in answer) {
    return access.kind === 'token' && answer.organizationId === access.organizationId;
  }
  if (access.kind === 'key' && access.membersMayCreate) {
    return answer.facts.organization?.fact.membersMayCreateProjects === true;
  }
  return true;
}
