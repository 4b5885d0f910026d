import type { SiloError } from '@silo/errors/silo-error.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { type MoveCheck, MoveRule } from '@silo/protos/gen/silo/project/v1/project_service.ts';

const {
  ERROR_REASON_ADMIN_REQUIRED,
  ERROR_REASON_ALREADY_THERE,
  ERROR_REASON_CROSS_REGION,
  ERROR_REASON_LAST_PROJECT,
  ERROR_REASON_ORGANIZATION_NOT_FOUND,
  ERROR_REASON_PROJECT_LIMIT,
  ERROR_REASON_PROJECT_NOT_ACTIVE,
} = ErrorReason;

/** The rules of a move in the order in which errors report them. */
const table: readonly { rule: MoveRule; reason: ErrorReason; isSettled?: true }[] = [
  // If one of these fails, the error reveals nothing else.
  { rule: MoveRule.MOVE_RULE_SAME_REGION, reason: ERROR_REASON_CROSS_REGION, isSettled: true },
  { rule: MoveRule.MOVE_RULE_SOURCE_ADMIN, reason: ERROR_REASON_ADMIN_REQUIRED, isSettled: true },
  {
    rule: MoveRule.MOVE_RULE_DESTINATION_MEMBER,
    reason: ERROR_REASON_ORGANIZATION_NOT_FOUND,
    isSettled: true,
  },
  { rule: MoveRule.MOVE_RULE_MAY_CREATE_IN_DESTINATION, reason: ERROR_REASON_ADMIN_REQUIRED },
  { rule: MoveRule.MOVE_RULE_SOURCE_KEEPS_PROJECT, reason: ERROR_REASON_LAST_PROJECT },
  { rule: MoveRule.MOVE_RULE_ELSEWHERE, reason: ERROR_REASON_ALREADY_THERE },
  { rule: MoveRule.MOVE_RULE_DESTINATION_HAS_ROOM, reason: ERROR_REASON_PROJECT_LIMIT },
  { rule: MoveRule.MOVE_RULE_PROJECTS_ACTIVE, reason: ERROR_REASON_PROJECT_NOT_ACTIVE },
];

/** The result of every rule, for a caller with full access, from the violated rules. */
export function moveChecks(blockers: readonly SiloError[]): MoveCheck[] {
  return table.map(({ rule, reason, isSettled = false }) => {
    const broken = isSettled ? [] : blockers.filter((each) => each.reason === reason);
    const [first] = broken;
    return {
      rule,
      passed: first === undefined,
      reason,
      description: first?.message ?? '',
      projectIds: reason === ERROR_REASON_PROJECT_NOT_ACTIVE ? broken.flatMap(subjectOf) : [],
    };
  });
}

function subjectOf({ details }: SiloError): string[] {
  return (details.preconditionFailure ?? []).map(({ subject }) => subject);
}
