import type { Cli } from '../cli.ts';
import { group } from '../group.ts';
import { orgCreate } from './org-create.ts';
import { orgDelete } from './org-delete.ts';
import { orgLeave } from './org-leave.ts';
import { orgList } from './org-list.ts';
import { orgShow } from './org-show.ts';
import { orgRename, orgSettings } from './org-update.ts';

export function org(cli: Cli) {
  return group('org', 'Your organizations.', [
    orgList(cli),
    orgCreate(cli),
    orgShow(cli),
    orgRename(cli),
    orgSettings(cli),
    orgDelete(cli),
    orgLeave(cli),
  ]);
}
