import type { Invite, Member, Organization } from '@silo/protos/gen/silo/org/v1/organization.ts';
import { named } from '../names.ts';
import type { Block } from '../text.ts';
import { facts, levelText, timeText } from './values.ts';

export function organizationsBlocks(organizations: readonly Organization[]): Block[] {
  if (organizations.length === 0) {
    return [{ text: 'You are in no organization: silo org create NAME', hasCommands: true }];
  }
  const rows = organizations.map((each) => [named(each), levelText(each.level)]);
  return [{ head: ['organization', 'your level'], rows }];
}

export function organizationBlocks(organization: Organization): Block[] {
  return facts(
    ['organization', named(organization)],
    ['your level', levelText(organization.level)],
    ['who creates projects', organization.membersMayCreateProjects ? 'all members' : 'admins only'],
    ['created', timeText(organization.createTime)],
  );
}

export function membersBlocks(members: readonly Member[]): Block[] {
  const rows = members.map((member) => [
    { text: member.displayName, id: member.accountId },
    member.email,
    levelText(member.level),
    timeText(member.joinTime),
  ]);
  return [{ head: ['name', 'e-mail', 'level', 'joined'], rows }];
}

export function invitesBlocks(invites: readonly Invite[]): Block[] {
  if (invites.length === 0) return ['No open invites.'];
  const rows = invites.map((invite) => [
    { text: invite.email, id: invite.id },
    levelText(invite.level),
    timeText(invite.expireTime),
  ]);
  return [{ head: ['e-mail', 'level', 'expires'], rows }];
}

export function invitedBlocks(invite: Invite, code: string): Block[] {
  return [
    [
      { text: 'Invited', style: 'good' },
      ' ',
      { text: invite.email, id: invite.id },
      ` as ${levelText(invite.level)}.`,
    ],
    ...facts(['code', code], ['expires', timeText(invite.expireTime)]),
    'Hand over the code: it is shown only once. To accept: silo members accept',
  ];
}
