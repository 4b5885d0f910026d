import type { Invite, Member, Organization } from '@silo/protos/gen/silo/org/v1/organization.ts';
import type { Block } from '../text.ts';
import { facts, levelText, timeText } from './values.ts';

export function organizationsBlocks(organizations: readonly Organization[]): Block[] {
  if (organizations.length === 0) return ['You are in no organization: silo org create NAME'];
  const rows = organizations.map(({ name, level, id }) => [name, levelText(level), id]);
  return [{ head: ['organization', 'your level', 'id'], rows }];
}

export function organizationBlocks(organization: Organization): Block[] {
  return facts(
    ['organization', organization.id],
    ['name', organization.name],
    ['your level', levelText(organization.level)],
    ['who creates projects', organization.membersMayCreateProjects ? 'all members' : 'admins only'],
    ['created', timeText(organization.createTime)],
  );
}

export function membersBlocks(members: readonly Member[]): Block[] {
  const rows = members.map((member) => [
    member.displayName,
    member.email,
    levelText(member.level),
    timeText(member.joinTime),
    member.accountId,
  ]);
  return [{ head: ['name', 'e-mail', 'level', 'joined', 'id'], rows }];
}

export function invitesBlocks(invites: readonly Invite[]): Block[] {
  if (invites.length === 0) return ['No open invites.'];
  const rows = invites.map((invite) => [
    invite.email,
    levelText(invite.level),
    timeText(invite.expireTime),
    invite.id,
  ]);
  return [{ head: ['e-mail', 'level', 'expires', 'id'], rows }];
}

export function invitedBlocks(invite: Invite, code: string): Block[] {
  return [
    [{ text: 'Invited', style: 'good' }, ` ${invite.email} as ${levelText(invite.level)}.`],
    ...facts(['code', code], ['invite', invite.id], ['expires', timeText(invite.expireTime)]),
    'Hand over the code: it is shown this once. To accept: silo members accept',
  ];
}
