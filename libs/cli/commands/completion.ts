import { Argument, Command } from '@commander-js/extra-typings';
import type { Cli } from '../cli.ts';
import { bashInsertion, readBashLine } from '../completion/bash-line.ts';
import { candidatesFor } from '../completion/candidates.ts';
import { noNames, readNames } from '../completion/names.ts';
import { scriptOf, shells } from '../completion/scripts.ts';

export function completion({ terminal }: Cli) {
  return new Command('completion')
    .description('Print a script that completes commands, options and names.')
    .addArgument(new Argument('<shell>', 'which shell').choices(shells))
    .addHelpText(
      'after',
      `
  source <(silo completion bash)     in ~/.bashrc
  source <(silo completion zsh)      in ~/.zshrc, after compinit
  silo completion fish | source      in ~/.config/fish/config.fish
  silo completion powershell | Out-String | Invoke-Expression     in $PROFILE`,
    )
    .action((shell) => {
      terminal.stdout.write(scriptOf(shell));
    });
}

/**
 * What the scripts call for candidates, with the words after `silo`; not shown in help. Bash gives its
 * line instead, and gets what it inserts.
 */
export function complete(cli: Cli) {
  const command = new Command('complete')
    .argument('[words...]')
    .option('--names', 'also those that need quotes, which the shell adds')
    .option('--bash <breaks>', 'the word is the line of bash, and this its COMP_WORDBREAKS');
  return command.action(async (given, options, { parent }) => {
    const program = parent ?? command;
    const isQuoted = options.names || options.bash !== undefined;
    const names = (profile: string | undefined) => {
      if (profile !== undefined) program.setOptionValue('profile', profile);
      // Commands are completed without a profile, too.
      return readNames(cli, isQuoted).catch(() => noNames);
    };
    const { stdout, directory } = cli.terminal;
    const candidates = (words: readonly string[]) =>
      candidatesFor(program, words, names, directory);
    const write = (lines: readonly string[]) =>
      stdout.write(lines.map((each) => `${each}\n`).join(''));
    if (options.bash !== undefined) {
      const line = readBashLine(given[0] ?? '', options.bash);
      if (line === undefined) return;
      const found = await candidates(line.words);
      const [option = ''] = /^--[^=]+=/.exec(line.words.at(-1) ?? '') ?? [];
      write(found.flatMap(({ value }) => bashInsertion(line, option + value) ?? []));
      return;
    }
    const found = await candidates(given);
    write(found.map(({ value, description }) => `${value}\t${description}`));
    // What the script of @bomb.sh/tab for PowerShell reads: no names of files.
    if (!options.names) write([':4']);
  });
}
