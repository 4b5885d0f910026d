import type { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { Account } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import type { ActivityEntry } from '@silo/protos/gen/silo/org/v1/activity_service.ts';
import type { Invite, Member, Organization } from '@silo/protos/gen/silo/org/v1/organization.ts';
import { etagOf } from '@silo/tokens/etag.ts';
import type { ActivityDocument } from './store/activity.ts';
import type {
  AccountDocument,
  InviteDocument,
  MembershipDocument,
  OrganizationDocument,
} from './store/documents.ts';

/** An account as its owner sees it. */
export function accountMessage(account: AccountDocument): Account {
  const { _id: id, email, displayName, currentProjectId, createTime, updateTime } = account;
  const etag = etagOf(account.revision);
  return { id, email, displayName, currentProjectId, createTime, updateTime, etag };
}

/** An organization as a member with this level sees it. */
export function organizationMessage(
  organization: OrganizationDocument,
  level: Level,
): Organization {
  const { _id: id, name, membersMayCreateProjects, createTime, updateTime } = organization;
  const etag = etagOf(organization.revision);
  return { id, name, membersMayCreateProjects, level, createTime, updateTime, etag };
}

/** A member as the other members see it. */
export function memberMessage(
  membership: MembershipDocument,
  account: AccountDocument | undefined,
): Member {
  const { organizationId, accountId, level, joinTime, revision } = membership;
  const { email = '', displayName = '' } = account ?? {};
  const etag = etagOf(revision);
  return { organizationId, accountId, email, displayName, level, joinTime, etag };
}

/** An invite as admins see it: without its code. */
export function inviteMessage(invite: InviteDocument): Invite {
  const {
    _id: id,
    organizationId,
    email,
    level,
    inviterAccountId,
    createTime,
    expireTime,
  } = invite;
  return { id, organizationId, email, level, inviterAccountId, createTime, expireTime };
}

/** An entry of the activity log, whichever release has stored it. */
export function activityMessage(entry: ActivityDocument): ActivityEntry {
  const { _id: id, time, type, actor, projectId, subjectId, moveId, undoOf = '', changes } = entry;
  return { id, time, type, actor, projectId, subjectId, moveId, undoOf, changes };
}
