import { type ReasonName, reasonName } from '@silo/errors/reason-name.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';
import { isOfCode } from './meaning.ts';

type Refusal = Pick<SiloError, 'reason' | 'metadata'> & Partial<Pick<SiloError, 'details'>>;
type Advice = (
  metadata: Readonly<Record<string, string>>,
  details: SiloError['details'],
) => string | undefined;

// Next steps for a refusal whose own message speaks in terms of the API, as commands. Advice about
// what the refused key cannot do names another profile, because `withProfile` would add the profile
// of that key.
const advices: Partial<Record<ReasonName, Advice>> = {
  TOKEN_INVALID: () => 'silo login, with a live key',
  SCOPE_REQUIRED: ({ scope = 'SCOPE' }) =>
    `silo login with a key that holds it; a profile with a wider key makes one: silo keys create NAME --scope ${scope} --profile OTHER`,
  ADMIN_REQUIRED: () => 'silo members list shows the admins and owners: contact one of them',
  KEY_RESTRICTED: () =>
    'silo login with a key without restrictions, or for a move with one that names both organizations; a profile with such a key shows them: silo keys list --profile OTHER',
  KEY_EXCEEDS_CALLER: () => 'silo keys show KEY shows the access of a key: request less',
  ROLE_REQUIRED: () =>
    'give --endpoints FILE of this region, or its certificate in TLS_CERT and TLS_KEY',
  ORGANIZATION_NOT_FOUND: () => 'silo org list',
  PROJECT_NOT_FOUND: () =>
    'silo projects, or silo projects --deleted for those that can be undeleted',
  MEMBER_NOT_FOUND: () => 'silo members list',
  INVITE_NOT_FOUND: (_, { resourceInfo }) =>
    isOfCode(resourceInfo)
      ? 'ask an admin of the organization for a new invite; silo account shows your e-mail'
      : 'silo members invites shows the open ones; an admin can invite again',
  KEY_NOT_FOUND: () => 'silo keys list',
  LAST_OWNER: () => 'silo members update MEMBER --level owner, then again',
  KEY_EXPIRED: () => 'silo keys update KEY --expires TIME, or silo keys create NAME',
  ORGANIZATION_NOT_EMPTY: ({ project_count: count }) =>
    count === '0'
      ? 'silo project undelete PROJECT, then silo move PROJECT; or, to lose them for ever, add --end-deleted-projects'
      : 'silo project delete PROJECT, or silo move PROJECT',
  // Advice for a project that has migrated; other refusals of this kind carry their own advice.
  CROSS_REGION: ({ region, organization_id: id }) =>
    region && id ? adviceElsewhere(region) : undefined,
  LAST_PROJECT: () => 'silo project create NAME, in the organization that the project leaves',
  PROJECT_LIMIT: ({ organization_id: id }) =>
    `silo plan list, then silo plan change PLAN${id ? ` --org ${id}` : ''}; or silo project delete PROJECT`,
  PROJECT_NOT_ACTIVE: ({ state }) =>
    state === 'DELETED' ? 'silo project undelete PROJECT' : 'silo project show PROJECT',
  ETAG_MISMATCH: () => 'look at it again before you decide',
  FINGERPRINT_MISMATCH: () => 'silo token show: somebody else has just regenerated it',
  BILLING_DETAILS_REQUIRED: () => 'silo plan billing-details, then again',
  PLAN_LIMIT_EXCEEDED: () => 'silo projects, then silo project delete PROJECT or silo move PROJECT',
  PLAN_CHANGED: () => 'silo move --preview, or silo migrate preview, and look at it again',
  PLAN_REQUIRED: ({ organization_id: id }) =>
    `silo plan list, then silo plan change PLAN${id ? ` --org ${id}` : ''}`,
  MIGRATION_NOT_FOUND: () =>
    'silo migrate list, or silo migrate list --staff; the destination lists it once it is accepted there',
  MIGRATION_STATE: () => 'silo migrate list shows the state of each',
  MIGRATION_IN_PROGRESS: ({ migration_id: id = 'MIGRATION' }) =>
    `silo migrate watch ${id}, or silo migrate cancel ${id}`,
  MOVE_NOT_FOUND: () => 'silo moves',
  MOVE_IS_UNDO: () => 'silo move PROJECT, to move again',
  MOVE_UNDONE: ({ undone_by: id = 'MOVE' }) => `silo moves show ${id} shows the move back`,
  MOVE_FINALIZED: () => 'silo move PROJECT, to move again',
  UNDO_EXPIRED: () => 'silo move PROJECT, to move again',
  MOVE_SUPERSEDED: ({ project_id: id = 'PROJECT' }) =>
    `silo moves --project ${id} shows the later move: undo that one first`,
  PROJECT_GONE: () => 'silo move with the remaining projects',
  PROJECT_NOT_DELETED: () => 'silo projects: it is there',
  RATE_LIMITED: (_, { retryDelayMs = 0 }) =>
    `wait ${Math.ceil(retryDelayMs / 1_000)} s, then run it again; the limit is the operator's`,
  REQUEST_ID_REUSED: () => 'leave --request-id out',
};

/** The next step, as a command; undefined if the refusal's own message says it. */
export function adviceFor({ reason, metadata, details = {} }: Refusal): string | undefined {
  return advices[reasonName(reason) as ReasonName]?.(metadata, details);
}

/** The next step for a project that is in another region. */
export function adviceElsewhere(region: string): string {
  return `silo profiles shows yours: the same command with --profile NAME of ${region}`;
}
