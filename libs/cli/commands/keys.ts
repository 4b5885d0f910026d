import type { Cli } from '../cli.ts';
import { group } from '../group.ts';
import { keysCreate } from './keys-create.ts';
import { keysDelete } from './keys-delete.ts';
import { keysDisable, keysEnable } from './keys-disable.ts';
import { keysList } from './keys-list.ts';
import { keysRoll } from './keys-roll.ts';
import { keysShow } from './keys-show.ts';
import { keysUpdate } from './keys-update.ts';

export function keys(cli: Cli) {
  return group('keys', 'Your own API keys.', [
    keysList(cli),
    keysCreate(cli),
    keysShow(cli),
    keysUpdate(cli),
    keysDisable(cli),
    keysEnable(cli),
    keysRoll(cli),
    keysDelete(cli),
  ]);
}
