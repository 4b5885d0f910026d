import { Argument, Command } from '@commander-js/extra-typings';
import type { Cli } from '../cli.ts';
import { bashScript } from '../completion/bash.ts';
import { treeOf } from '../completion/tree.ts';
import { zshScript } from '../completion/zsh.ts';

export function completion({ terminal }: Cli) {
  return new Command('completion')
    .description('Print a script that completes commands and options.')
    .addArgument(new Argument('<shell>', 'which shell').choices(['bash', 'zsh'] as const))
    .addHelpText(
      'after',
      '\n  source <(silo completion bash)     in ~/.bashrc\n  source <(silo completion zsh)      in ~/.zshrc, after compinit',
    )
    .action((shell, _options, command) => {
      const tree = treeOf(command.parent ?? command);
      terminal.stdout.write(shell === 'bash' ? bashScript(tree) : zshScript(tree));
    });
}
