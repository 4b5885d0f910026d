import { Argument, Command } from '@commander-js/extra-typings';
import type { Cli } from '../cli.ts';
import { kindsWanted, printCandidates } from '../completion/candidates.ts';
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

/** What the scripts call for candidates: `silo complete -- WORD...`. Not shown in help. */
export function complete(cli: Cli) {
  return new Command('complete').argument('[words...]').action(async (words, _options, command) => {
    const program = command.parent ?? command;
    const isWanted = kindsWanted(program, words).length > 0;
    // Commands are completed without a profile, too.
    const names = isWanted ? await readNames(cli).catch(() => noNames) : noNames;
    printCandidates(program, words, names, cli.terminal.directory);
  });
}
