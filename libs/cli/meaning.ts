import type { ReasonName } from '@silo/errors/reason-name.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';

type Metadata = Readonly<Record<string, string>>;
type Meaning = (metadata: Metadata, details: SiloError['details']) => string | undefined;

// Rewords refusals, which use terms of the API, for people who use this command.
const meanings: Partial<Record<ReasonName, Meaning>> = {
  INVALID_FIELD: () => 'A value is invalid.',
  TOKEN_INVALID: () => 'The API key is missing or invalid.',
  ADMIN_REQUIRED: ({ level = 'ADMIN' }) =>
    `You must be ${level === 'OWNER' ? 'an owner' : 'an admin'} of the organization for this.`,
  KEY_EXCEEDS_CALLER: ({ exceeds = 'access' }) =>
    `The key would have more than the one that you are signed in with: ${exceeds.replaceAll('_', ' ')}.`,
  KEY_EXPIRED: () => 'The API key has expired.',
  ROLE_REQUIRED: ({ roles = 'staff' }) =>
    `This region does not accept the client certificate: it needs one that this region issued for ${roles}.`,
  INVITE_NOT_FOUND: (_, { resourceInfo }) =>
    isOfCode(resourceInfo)
      ? 'The code is unknown, used, withdrawn, expired or no longer valid, or it is for another e-mail than yours.'
      : undefined,
  ALREADY_MEMBER: () => 'The account is a member of the organization already.',
  ORGANIZATION_NOT_EMPTY: ({ project_count: count = '0', deleted_project_count: deleted = '0' }) =>
    [
      ...(count === '0' ? [] : [`The organization still has ${projects(count)}.`]),
      ...(deleted === '0'
        ? []
        : [
            `${deleted} deleted ${deleted === '1' ? 'project' : 'projects'} can still be undeleted.`,
          ]),
    ].join(' '),
  PLAN_CHANGED: () => 'What it does has changed since you looked.',
  MOVE_IS_UNDO: () => 'The move is itself an undo, which cannot be undone.',
  MOVE_UNDONE: () => 'The move has been undone already.',
  MOVE_FINALIZED: () => 'An admin of the destination has finalized the move.',
  UNDO_EXPIRED: () => 'A move can be undone for 7 days, and they have passed.',
  MOVE_SUPERSEDED: () => 'The project has been moved again since.',
  ETAG_MISMATCH: () => 'It has changed since you looked.',
  FINGERPRINT_MISMATCH: () => 'The token has been regenerated since you looked.',
  REQUEST_IN_PROGRESS: () => 'The same change, or another one of its kind, is still in progress.',
  REQUEST_ID_REUSED: () => 'This --request-id was given to another change already.',
  BILLING_DETAILS_REQUIRED: () => 'A paid plan needs billing details.',
  DEPENDENCY_UNAVAILABLE: () => 'A part of Silo did not answer in time.',
  DRAINING: () => 'The server is shutting down.',
  PROPAGATION_UNCONFIRMED: () =>
    'The change is made, but it is not confirmed yet that the old access has ended everywhere.',
  INTERNAL: () => 'An internal error of Silo.',
  UNKNOWN_METHOD: () =>
    'This Silo does not know what the command requests: it is of another release.',
  CALL_ENDED: () => 'No answer in time: the outcome is unknown.',
};

// Parts of messages that only help callers of the API. A user of the command gave names, e-mails or
// nothing where the command sends ids, and the command has its own advice.
const ofTheApi = [' Retry after the delay in RetryInfo.', ' Check the id.'];

/** A refusal in the command's own words; if it has none, in the refusal's. */
export function meaningOf({ reasonName, metadata, message, details }: SiloError): string {
  const own = meanings[reasonName as ReasonName]?.(metadata, details) ?? message;
  return ofTheApi.reduce((text, part) => text.replace(part, ''), own);
}

/**
 * Whether an invite was named by its code: the code is secret, so the refusal repeats nothing of
 * it.
 */
export function isOfCode(resourceInfo: SiloError['details']['resourceInfo']): boolean {
  return resourceInfo?.resourceName === '';
}

/** The violations to list. A single violation repeats the message, so it is left out. */
export function violationsIn({ reasonName, details }: SiloError): string[] {
  const { preconditionFailure = [] } = details;
  if (preconditionFailure.length < 2) return [];
  return preconditionFailure.flatMap(({ type, description }) => {
    if (type === 'PLAN_CHANGED') return [description];
    // The meaning of this refusal already contains its counts.
    if (type === 'ORGANIZATION_NOT_EMPTY' && type === reasonName) return [];
    return [meanings[type as ReasonName]?.({}, {}) ?? description];
  });
}

function projects(count: string): string {
  return count === '1' ? '1 project' : `${count} projects`;
}

/** A field's name for people: `project.settings.time_zone` becomes `time zone`. */
export function fieldText(path: string): string {
  const last = path.slice(path.lastIndexOf('.') + 1);
  return last.replace(/\[.*$/, '').replaceAll('_', ' ') || 'request';
}
