import type { Cli } from '../cli.ts';
import { group } from '../group.ts';
import { membersAccept } from './members-accept.ts';
import { membersInvite } from './members-invite.ts';
import { membersInvites, membersWithdraw } from './members-invites.ts';
import { membersList } from './members-list.ts';
import { membersRemove } from './members-remove.ts';
import { membersUpdate } from './members-update.ts';

export function members(cli: Cli) {
  return group('members', 'An organization’s members and invites.', [
    membersList(cli),
    membersInvite(cli),
    membersInvites(cli),
    membersWithdraw(cli),
    membersAccept(cli),
    membersUpdate(cli),
    membersRemove(cli),
  ]);
}
