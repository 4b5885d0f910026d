import { status } from '@grpc/grpc-js';
import { bareName } from '@silo/protos/enum-name.ts';
import { Role } from '@silo/protos/gen/silo/common/v1/authorization.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { combine } from './combine.ts';
import { inviteErrors } from './invite-errors.ts';
import { aborted, make, notFound, precondition, quota, retryDelayMs, unavailable } from './make.ts';
import { migrationErrors } from './migration-errors.ts';
import { type RateLimit, rateLimits } from './rate-limit.ts';
import { reasonName } from './reason-name.ts';
import type { FieldViolation } from './silo-error.ts';

const {
  ERROR_REASON_INVALID_FIELD,
  ERROR_REASON_TOKEN_INVALID,
  ERROR_REASON_SCOPE_REQUIRED,
  ERROR_REASON_ADMIN_REQUIRED,
  ERROR_REASON_KEY_RESTRICTED,
  ERROR_REASON_KEY_EXCEEDS_CALLER,
  ERROR_REASON_KEY_EXPIRED,
  ERROR_REASON_ROLE_REQUIRED,
  ERROR_REASON_SIGNUP_CLOSED,
  ERROR_REASON_ACCOUNT_NOT_FOUND,
  ERROR_REASON_ORGANIZATION_NOT_FOUND,
  ERROR_REASON_PROJECT_NOT_FOUND,
  ERROR_REASON_MEMBER_NOT_FOUND,
  ERROR_REASON_KEY_NOT_FOUND,
  ERROR_REASON_EMAIL_TAKEN,
  ERROR_REASON_ALREADY_MEMBER,
  ERROR_REASON_LAST_OWNER,
  ERROR_REASON_ORGANIZATION_NOT_EMPTY,
  ERROR_REASON_LAST_PROJECT,
  ERROR_REASON_ALREADY_THERE,
  ERROR_REASON_CROSS_REGION,
  ERROR_REASON_PROJECT_LIMIT,
  ERROR_REASON_PROJECT_NOT_ACTIVE,
  ERROR_REASON_RESOURCE_LIMIT,
  ERROR_REASON_ETAG_MISMATCH,
  ERROR_REASON_FINGERPRINT_MISMATCH,
  ERROR_REASON_REQUEST_IN_PROGRESS,
  ERROR_REASON_REQUEST_ID_REUSED,
  ERROR_REASON_BILLING_DETAILS_REQUIRED,
  ERROR_REASON_PLAN_LIMIT_EXCEEDED,
  ERROR_REASON_NOT_READY,
  ERROR_REASON_DEPENDENCY_UNAVAILABLE,
  ERROR_REASON_DRAINING,
  ERROR_REASON_LOG_COMPACTED,
  ERROR_REASON_INTERNAL,
  ERROR_REASON_UNKNOWN_METHOD,
  ERROR_REASON_CALL_ENDED,
  ERROR_REASON_PROPAGATION_UNCONFIRMED,
  ERROR_REASON_PLAN_CHANGED,
  ERROR_REASON_EVENT_DELETION_NOT_FOUND,
  ERROR_REASON_MOVE_NOT_FOUND,
  ERROR_REASON_MOVE_IS_UNDO,
  ERROR_REASON_MOVE_UNDONE,
  ERROR_REASON_MOVE_FINALIZED,
  ERROR_REASON_UNDO_EXPIRED,
  ERROR_REASON_MOVE_SUPERSEDED,
  ERROR_REASON_PROJECT_GONE,
  ERROR_REASON_PROJECT_NOT_DELETED,
  ERROR_REASON_RATE_LIMITED,
} = ErrorReason;

/** All errors that Silo returns: one constructor per reason in error_reason.proto. */
export const errors = {
  /** `field` is a path of proto field names, such as `project.settings.time_zone`. */
  invalidField: (violations: FieldViolation[]) =>
    make(status.INVALID_ARGUMENT, ERROR_REASON_INVALID_FIELD, invalidMessage(violations), {
      details: { badRequest: violations },
    }),
  tokenInvalid: () =>
    make(
      status.UNAUTHENTICATED,
      ERROR_REASON_TOKEN_INVALID,
      'The token or API key is missing or invalid. Send `authorization: Bearer <key>` with a valid key.',
    ),
  scopeRequired: (scope: string) =>
    make(
      status.PERMISSION_DENIED,
      ERROR_REASON_SCOPE_REQUIRED,
      `The API key does not have the scope ${scope}. Use a key that has it.`,
      { metadata: { scope } },
    ),
  /** Accepts a level, or its name from a `Refusal` of the guard. */
  adminRequired: (level: Level | string) =>
    make(
      status.PERMISSION_DENIED,
      ERROR_REASON_ADMIN_REQUIRED,
      `This call requires the level ${bareName(Level, level)} in the organization. Contact an admin or owner of the organization.`,
      { metadata: { level: bareName(Level, level) } },
    ),
  keyRestricted: () =>
    make(
      status.PERMISSION_DENIED,
      ERROR_REASON_KEY_RESTRICTED,
      'The API key is restricted to organizations or projects that do not cover this call. Use an unrestricted key or, for a move, a key that names both organizations.',
    ),
  keyExceedsCaller: (exceeds: 'scopes' | 'restrictions' | 'expire_time') =>
    make(
      status.PERMISSION_DENIED,
      ERROR_REASON_KEY_EXCEEDS_CALLER,
      `The key's ${exceeds} would exceed those of the key that you call with. Request less access, or call with a key that has more.`,
      { metadata: { exceeds } },
    ),
  keyExpired: (expireTime: Date) =>
    precondition(
      ERROR_REASON_KEY_EXPIRED,
      'The API key has expired. Set a later expire_time first, or create another key.',
      { metadata: { expire_time: expireTime.toISOString() } },
    ),
  roleRequired: (roles: readonly Role[]) =>
    make(
      status.PERMISSION_DENIED,
      ERROR_REASON_ROLE_REQUIRED,
      `This requires a client certificate of this deployment with one of the roles: ${roleNames(roles)}. Connect with such a certificate.`,
      { metadata: { roles: roleNames(roles) } },
    ),
  signupClosed: () =>
    make(
      status.PERMISSION_DENIED,
      ERROR_REASON_SIGNUP_CLOSED,
      'Sign-up is disabled in this deployment. Contact its operator for an account.',
    ),
  accountNotFound: (id: string) => notFound(ERROR_REASON_ACCOUNT_NOT_FOUND, 'account', id),
  organizationNotFound: (id: string) =>
    notFound(ERROR_REASON_ORGANIZATION_NOT_FOUND, 'organization', id),
  projectNotFound: (id: string) => notFound(ERROR_REASON_PROJECT_NOT_FOUND, 'project', id),
  moveNotFound: (id: string) => notFound(ERROR_REASON_MOVE_NOT_FOUND, 'move', id),
  eventDeletionNotFound: (id: string) =>
    notFound(ERROR_REASON_EVENT_DELETION_NOT_FOUND, 'event deletion', id),
  memberNotFound: (id: string) => notFound(ERROR_REASON_MEMBER_NOT_FOUND, 'member', id),
  ...inviteErrors,
  keyNotFound: (id: string) => notFound(ERROR_REASON_KEY_NOT_FOUND, 'API key', id),
  emailTaken: () =>
    make(
      status.ALREADY_EXISTS,
      ERROR_REASON_EMAIL_TAKEN,
      'Another account has this e-mail. Use another e-mail, or sign in to that account.',
    ),
  alreadyMember: (id: string) =>
    precondition(
      ERROR_REASON_ALREADY_MEMBER,
      'The account is already a member of the organization. Update the member to change its level.',
      { subject: id },
    ),
  lastOwner: () =>
    precondition(
      ERROR_REASON_LAST_OWNER,
      'An organization must have at least one owner. Make another member an owner first.',
    ),
  /** `deletedCount`: deleted projects that could still be undeleted. One of the counts is not 0. */
  organizationNotEmpty: (projectCount: number, deletedCount: number) => {
    const metadata = {
      project_count: String(projectCount),
      deleted_project_count: String(deletedCount),
    };
    const violation = (message: string) =>
      precondition(ERROR_REASON_ORGANIZATION_NOT_EMPTY, message, { metadata });
    return combine([
      ...(projectCount > 0
        ? [
            violation(
              `The organization still has ${projects(projectCount)}. Delete or move them first.`,
            ),
          ]
        : []),
      ...(deletedCount > 0
        ? [
            violation(
              `${projects(deletedCount, 'deleted ')} can still be undeleted. To delete them permanently, set end_deleted_projects. To keep them, undelete and move them. Otherwise wait until they are purged.`,
            ),
          ]
        : []),
    ]);
  },
  lastProject: () =>
    precondition(
      ERROR_REASON_LAST_PROJECT,
      'A move must leave at least one project in the source organization. Create another project there first.',
    ),
  alreadyThere: () =>
    precondition(
      ERROR_REASON_ALREADY_THERE,
      'The project is already in the destination organization. Choose another organization.',
    ),
  crossRegion: ({ from, to }: { from: string; to: string }) =>
    precondition(
      ERROR_REASON_CROSS_REGION,
      `The destination is in the region ${to}. Projects can move only within their region: choose a destination in ${from}.`,
      { metadata: { region: to } },
    ),
  /** `organizationId`: the project's organization there; '' if the caller may not know it. */
  projectMigrated: (region: string, organizationId: string) =>
    precondition(
      ERROR_REASON_CROSS_REGION,
      `The project has migrated to the region ${region}. Send this request to that region.`,
      { metadata: { region, ...(organizationId && { organization_id: organizationId }) } },
    ),
  projectLimit: (slots: { organizationId: string; limit: number; count: number }) =>
    quota(
      ERROR_REASON_PROJECT_LIMIT,
      slots.organizationId,
      `The organization has ${slots.count} of at most ${projects(slots.limit)}. Delete a project there, or upgrade its plan.`,
      {
        limit: String(slots.limit),
        count: String(slots.count),
        organization_id: slots.organizationId,
      },
    ),
  projectNotActive: ({ projectId, state }: { projectId: string; state: ProjectState }) =>
    precondition(
      ERROR_REASON_PROJECT_NOT_ACTIVE,
      `The project's state is ${bareName(ProjectState, state)}. This call requires an active project.`,
      { subject: projectId, metadata: { state: bareName(ProjectState, state) } },
    ),
  projectNotDeleted: ({ projectId, state }: { projectId: string; state: ProjectState }) =>
    precondition(
      ERROR_REASON_PROJECT_NOT_DELETED,
      `The project's state is ${bareName(ProjectState, state)}. Only a deleted project can be undeleted.`,
      { subject: projectId, metadata: { state: bareName(ProjectState, state) } },
    ),
  /**
   * `changes`: differences from the preview, by name in the metadata, each with a description.
   */
  planChanged: (changes: readonly { what: string; description: string }[]) =>
    make(
      status.ABORTED,
      ERROR_REASON_PLAN_CHANGED,
      'The effect of the move has changed since its preview. Preview the move again and review the result before you move.',
      {
        metadata: { changed: changes.map(({ what }) => what).join(',') },
        details: {
          preconditionFailure: changes.map(({ what, description }) => ({
            type: reasonName(ERROR_REASON_PLAN_CHANGED),
            subject: what,
            description,
          })),
        },
      },
    ),
  moveIsUndo: (undoOf: string) =>
    precondition(
      ERROR_REASON_MOVE_IS_UNDO,
      'The move is itself an undo, which cannot be undone. Move the project again instead.',
      { metadata: { undo_of: undoOf } },
    ),
  moveUndone: (undoneBy: string) =>
    precondition(
      ERROR_REASON_MOVE_UNDONE,
      'The move has already been undone. To move the project again, start another move.',
      {
        metadata: { undone_by: undoneBy },
      },
    ),
  moveFinalized: () =>
    precondition(
      ERROR_REASON_MOVE_FINALIZED,
      'An admin of the destination has finalized the move. To move the project back, start another move.',
    ),
  undoExpired: (expireTime: Date) =>
    precondition(
      ERROR_REASON_UNDO_EXPIRED,
      'A move can be undone for 7 days, and they have passed. To move the project back, start another move.',
      { metadata: { expire_time: expireTime.toISOString() } },
    ),
  moveSuperseded: (projectId: string) =>
    precondition(
      ERROR_REASON_MOVE_SUPERSEDED,
      'The project has been moved again since. Undo the later move first, or start another move instead.',
      { subject: projectId, metadata: { project_id: projectId } },
    ),
  projectGone: (projectId: string) =>
    precondition(
      ERROR_REASON_PROJECT_GONE,
      'A project of the move has been purged, and a batch can only be undone as a whole. Move the other projects one by one instead.',
      { subject: projectId, metadata: { project_id: projectId } },
    ),
  ...migrationErrors,
  resourceLimit: (resource: string, limit: number) =>
    quota(
      ERROR_REASON_RESOURCE_LIMIT,
      resource,
      `The limit of ${limit} ${resource} is reached. Delete some first.`,
      { resource, limit: String(limit) },
    ),
  /** `limit`: the limit that was exceeded; `waitMs`: when to retry. */
  rateLimited: (limit: RateLimit, waitMs: number) => {
    const description = `The rate limit of ${rateLimits[limit]} is exceeded. Retry after the delay in RetryInfo.`;
    return make(status.RESOURCE_EXHAUSTED, ERROR_REASON_RATE_LIMITED, description, {
      metadata: { limit },
      details: { quotaFailure: [{ subject: limit, description }], retryDelayMs: waitMs },
    });
  },
  etagMismatch: () =>
    aborted(
      ERROR_REASON_ETAG_MISMATCH,
      'The etag is out of date: the resource has changed since you read it. Read it again, then retry.',
    ),
  fingerprintMismatch: () =>
    aborted(
      ERROR_REASON_FINGERPRINT_MISMATCH,
      'The token has been regenerated: expected_fingerprint does not match the current token. Read the token again.',
    ),
  requestInProgress: () =>
    aborted(
      ERROR_REASON_REQUEST_IN_PROGRESS,
      'A request with this request_id, or another change of the same kind, is still in progress. Retry with the same request_id.',
      { retryDelayMs },
    ),
  requestIdReused: () =>
    precondition(
      ERROR_REASON_REQUEST_ID_REUSED,
      'The request_id was already used for a different request. Use a new request_id for each new request.',
    ),
  billingDetailsRequired: () =>
    precondition(
      ERROR_REASON_BILLING_DETAILS_REQUIRED,
      'A paid plan requires billing details. Enter its billing details first.',
    ),
  planLimitExceeded: ({ limit, count }: { limit: number; count: number }) =>
    precondition(
      ERROR_REASON_PLAN_LIMIT_EXCEEDED,
      `The organization has ${count} projects, but the plan allows only ${limit}. Delete or move projects first.`,
      { metadata: { limit: String(limit), count: String(count) } },
    ),
  notReady: (what: string, because = 'is still being created') =>
    unavailable(
      ERROR_REASON_NOT_READY,
      `Not ready yet: ${what} ${because}. Retry after the delay in RetryInfo.`,
    ),
  dependencyUnavailable: (what: string, cause?: unknown) =>
    unavailable(
      ERROR_REASON_DEPENDENCY_UNAVAILABLE,
      `No response in time from ${what}. Retry with the same request_id.`,
      cause,
    ),
  draining: () =>
    unavailable(
      ERROR_REASON_DRAINING,
      'This server is shutting down. Retry, or call another server.',
    ),
  propagationUnconfirmed: (cause?: unknown) =>
    unavailable(
      ERROR_REASON_PROPAGATION_UNCONFIRMED,
      'The change is committed, but not every guard has confirmed it in time. Retry with the same request_id to wait again.',
      cause,
    ),
  logCompacted: (firstSequence: number | bigint) =>
    make(
      status.OUT_OF_RANGE,
      ERROR_REASON_LOG_COMPACTED,
      `The log begins at sequence ${firstSequence}. Read the current state, then follow the log from its head.`,
      { metadata: { first_sequence: String(firstSequence) } },
    ),
  /** `callId` identifies the log lines; the cause is logged and never sent to the caller. */
  internal: (callId: string, cause?: unknown) =>
    make(
      status.INTERNAL,
      ERROR_REASON_INTERNAL,
      'Internal error. Report it with the request_id in RequestInfo.',
      { details: { requestInfo: callId }, cause },
    ),
  unknownMethod: (path: string) =>
    make(
      status.UNIMPLEMENTED,
      ERROR_REASON_UNKNOWN_METHOD,
      `Unknown method: ${path}. Use server reflection to list the methods of this server.`,
    ),
  callEnded: (how: 'cancelled' | 'deadline') =>
    make(
      how === 'cancelled' ? status.CANCELLED : status.DEADLINE_EXCEEDED,
      ERROR_REASON_CALL_ENDED,
      how === 'cancelled'
        ? 'The call was cancelled, and its outcome is unknown. Retry with the same request_id.'
        : 'The deadline was exceeded, and the outcome is unknown. Retry with the same request_id.',
    ),
};

function invalidMessage(violations: readonly FieldViolation[]): string {
  const names = [...new Set(violations.map(({ field }) => field))].filter((name) => name !== '');
  // If the message as a whole is wrong, no field is named.
  if (names.length === 0)
    return `Correct the request: ${violations[0]?.description ?? 'its shape'}.`;
  const shown = names.length <= 3 ? names.join(', ') : `${names.slice(0, 3).join(', ')} and more`;
  return `Correct the fields that are named in the details: ${shown}.`;
}

/** The names of roles in certificates: `service`, `guard`, `staff`. */
function roleNames(roles: readonly Role[]): string {
  return roles.map((role) => bareName(Role, role).toLowerCase()).join(',');
}

function projects(count: number, kind = ''): string {
  return `${count} ${kind}${count === 1 ? 'project' : 'projects'}`;
}
