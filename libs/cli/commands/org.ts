import { Command } from '@commander-js/extra-typings';
import type { Cli } from '../cli.ts';
import { orgCreate } from './org-create.ts';
import { orgDelete } from './org-delete.ts';
import { orgLeave } from './org-leave.ts';
import { orgList } from './org-list.ts';
import { orgShow } from './org-show.ts';
import { orgRename, orgSettings } from './org-update.ts';

export function org(cli: Cli) {
  return new Command('org')
    .description('Your organizations.')
    .addCommand(orgList(cli))
    .addCommand(orgCreate(cli))
    .addCommand(orgShow(cli))
    .addCommand(orgRename(cli))
    .addCommand(orgSettings(cli))
    .addCommand(orgDelete(cli))
    .addCommand(orgLeave(cli));
}
