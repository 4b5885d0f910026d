import { Command } from '@commander-js/extra-typings';
import type { Cli } from '../cli.ts';
import { type ExitName, exitCodes, exitMeanings } from '../exit-codes.ts';
import { type Block, toText } from '../text.ts';

export function exitCodesTopic(cli: Cli) {
  const rows = Object.entries(exitCodes).map(([name, code]) => ({
    code,
    name,
    meaning: exitMeanings[name as ExitName],
  }));
  const table: Block = {
    head: ['code', 'name', 'meaning'],
    rows: rows.map(({ code, name, meaning }) => [String(code), name, meaning]),
  };
  return new Command('exit-codes')
    .description('Show what the exit codes of the command mean.')
    .addHelpText('after', () => `\n${toText([table], { colour: false })}`)
    .action(() => cli.answerPlain({ exitCodes: rows }, [table]));
}
