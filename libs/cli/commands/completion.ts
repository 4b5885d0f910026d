import { RootCommand } from '@bomb.sh/tab';
import { Argument, Command } from '@commander-js/extra-typings';
import type { Cli } from '../cli.ts';
import { bashScript } from '../completion/bash.ts';
import { kindsWanted, printCandidates } from '../completion/candidates.ts';
import { noNames, readNames } from '../completion/names.ts';

export function completion({ terminal }: Cli) {
  return new Command('completion')
    .description('Print a script that completes commands, options and names.')
    .addArgument(
      new Argument('<shell>', 'which shell').choices([
        'bash',
        'zsh',
        'fish',
        'powershell',
      ] as const),
    )
    .addHelpText(
      'after',
      `
  source <(silo completion bash)     in ~/.bashrc
  source <(silo completion zsh)      in ~/.zshrc, after compinit
  silo completion fish | source      in ~/.config/fish/config.fish
  silo completion powershell | Out-String | Invoke-Expression     in $PROFILE`,
    )
    .action((shell) => {
      if (shell === 'bash') terminal.stdout.write(bashScript);
      else new RootCommand().setup('silo', 'silo', shell);
    });
}

/** What the scripts call for candidates: `silo complete -- WORD...`. Not shown in help. */
export function complete(cli: Cli) {
  return new Command('complete').argument('[words...]').action(async (words, _options, command) => {
    const program = command.parent ?? command;
    const isWanted = kindsWanted(program, words).length > 0;
    // Whoever is not signed in completes commands all the same.
    const names = isWanted ? await readNames(cli).catch(() => noNames) : noNames;
    printCandidates(program, words, names, cli.terminal.directory);
  });
}
