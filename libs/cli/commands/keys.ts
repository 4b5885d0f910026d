import { Command } from '@commander-js/extra-typings';
import type { Cli } from '../cli.ts';
import { keysCreate } from './keys-create.ts';
import { keysDelete } from './keys-delete.ts';
import { keysDisable, keysEnable } from './keys-disable.ts';
import { keysList } from './keys-list.ts';
import { keysRoll } from './keys-roll.ts';
import { keysShow } from './keys-show.ts';
import { keysUpdate } from './keys-update.ts';

export function keys(cli: Cli) {
  return new Command('keys')
    .description('Your own API keys.')
    .addCommand(keysList(cli))
    .addCommand(keysCreate(cli))
    .addCommand(keysShow(cli))
    .addCommand(keysUpdate(cli))
    .addCommand(keysDisable(cli))
    .addCommand(keysEnable(cli))
    .addCommand(keysRoll(cli))
    .addCommand(keysDelete(cli));
}
