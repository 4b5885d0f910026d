import type { EventDraft } from '@silo/log/event-log.ts';
import type { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import {
  AccountCreated,
  AccountUpdated,
  type FieldChange,
  InviteAccepted,
  InviteCreated,
  InviteDeleted,
  MemberAdded,
  MemberRemoved,
  MemberUpdated,
  OrganizationCreated,
  OrganizationDeleted,
  OrganizationUpdated,
} from '@silo/protos/gen/silo/events/v1/events.ts';
import type {
  AccountDocument,
  InviteDocument,
  MembershipDocument,
  OrganizationDocument,
} from './store/documents.ts';

/** The actor and the time of a change. */
export type Stamp = { actor: string; time: Date };

/** An invite has two events: its creation and its end. */
const inviteMade = 1;
const inviteEnded = 2;

export function accountCreated(
  { _id, revision }: AccountDocument,
  organizationId: string,
  stamp: Stamp,
): EventDraft {
  const body = AccountCreated.toJSON({ accountId: _id, organizationId, revision, ...stamp });
  return { event: 'account_created', subject: _id, body };
}

/** `changes` never contains an e-mail. */
export function accountUpdated(
  { _id, revision }: AccountDocument,
  changes: FieldChange[],
  stamp: Stamp,
): EventDraft {
  const body = AccountUpdated.toJSON({ accountId: _id, changes, revision, ...stamp });
  return { event: 'account_updated', subject: _id, body };
}

export function organizationCreated(
  { _id, name, revision }: OrganizationDocument,
  ownerAccountId: string,
  stamp: Stamp,
): EventDraft {
  const body = { organizationId: _id, name, ownerAccountId, revision, ...stamp };
  return {
    event: 'organization_created',
    subject: _id,
    body: OrganizationCreated.toJSON(body),
  };
}

export function organizationUpdated(
  { _id, membersMayCreateProjects, revision }: OrganizationDocument,
  changes: FieldChange[],
  stamp: Stamp,
): EventDraft {
  const body = { organizationId: _id, changes, membersMayCreateProjects, revision, ...stamp };
  return {
    event: 'organization_updated',
    subject: _id,
    body: OrganizationUpdated.toJSON(body),
  };
}

export function organizationDeleted(
  { _id, name, revision }: OrganizationDocument,
  stamp: Stamp,
): EventDraft {
  const body = OrganizationDeleted.toJSON({ organizationId: _id, name, revision, ...stamp });
  return { event: 'organization_deleted', subject: _id, body };
}

export function memberAdded(
  { organizationId, accountId, level, revision }: Omit<MembershipDocument, '_id'>,
  stamp: Stamp,
): EventDraft {
  const body = MemberAdded.toJSON({ organizationId, accountId, level, revision, ...stamp });
  return { event: 'member_added', subject: organizationId, body };
}

export function memberUpdated(
  { organizationId, accountId, level, revision }: MembershipDocument,
  oldLevel: Level,
  stamp: Stamp,
): EventDraft {
  const body = { organizationId, accountId, oldLevel, level, revision, ...stamp };
  return { event: 'member_updated', subject: organizationId, body: MemberUpdated.toJSON(body) };
}

export function memberRemoved(
  { organizationId, accountId, level: oldLevel, revision }: MembershipDocument,
  left: boolean,
  stamp: Stamp,
): EventDraft {
  const body = { organizationId, accountId, oldLevel, left, revision, ...stamp };
  return { event: 'member_removed', subject: organizationId, body: MemberRemoved.toJSON(body) };
}

export function inviteCreated(
  { _id: inviteId, organizationId, level, expireTime }: InviteDocument,
  stamp: Stamp,
): EventDraft {
  const body = { organizationId, inviteId, level, expireTime, revision: inviteMade, ...stamp };
  return { event: 'invite_created', subject: organizationId, body: InviteCreated.toJSON(body) };
}

export function inviteDeleted(organizationId: string, inviteId: string, stamp: Stamp): EventDraft {
  const body = { organizationId, inviteId, revision: inviteEnded, ...stamp };
  return { event: 'invite_deleted', subject: organizationId, body: InviteDeleted.toJSON(body) };
}

export function inviteAccepted(
  { _id: inviteId, organizationId }: InviteDocument,
  accountId: string,
  stamp: Stamp,
): EventDraft {
  const body = { organizationId, inviteId, accountId, revision: inviteEnded, ...stamp };
  return { event: 'invite_accepted', subject: organizationId, body: InviteAccepted.toJSON(body) };
}
