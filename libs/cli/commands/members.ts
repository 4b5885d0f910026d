import { Command } from '@commander-js/extra-typings';
import type { Cli } from '../cli.ts';
import { membersAccept } from './members-accept.ts';
import { membersInvite } from './members-invite.ts';
import { membersInvites, membersWithdraw } from './members-invites.ts';
import { membersList } from './members-list.ts';
import { membersRemove } from './members-remove.ts';
import { membersUpdate } from './members-update.ts';

export function members(cli: Cli) {
  return new Command('members')
    .description('An organization’s members and invites.')
    .addCommand(membersList(cli))
    .addCommand(membersInvite(cli))
    .addCommand(membersInvites(cli))
    .addCommand(membersWithdraw(cli))
    .addCommand(membersAccept(cli))
    .addCommand(membersUpdate(cli))
    .addCommand(membersRemove(cli));
}
