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
 * Called by the completion scripts, with the words after `silo`, to get candidates; hidden in help.
 * Bash passes its whole line instead, and receives the text to insert.
 */
export function complete(cli: Cli) {
  const command = new Command('complete')
    .argument('[words...]')
    .option('--names', 'include names that need quotes, which the shell adds')
    .option('--bash <breaks>', "the word is bash's line, and this is its COMP_WORDBREAKS");
  return command.action(async (given, options, { parent }) => {
    const program = parent ?? command;
    const isQuoted = options.names || options.bash !== undefined;
    const names = (profile: string | undefined) => {
      if (profile !== undefined) program.setOptionValue('profile', profile);
      // Commands are completed even without a profile.
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
    // The directive that the PowerShell script of @bomb.sh/tab reads: do not complete file names.
    if (!options.names) write([':4']);
  });
}
