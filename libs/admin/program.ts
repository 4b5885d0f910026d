import { Command } from '@commander-js/extra-typings';
import { restoredCommand } from './commands/restored.ts';
import { secretsCommand } from './commands/secrets.ts';

/** What a command gets from its process. */
export type CommandContext = { print(line: string): void };

/** `silo-admin`: the commands of those who run a deployment. */
export function createProgram(context: CommandContext): Command {
  return new Command('silo-admin')
    .description('Sets up a deployment of Silo.')
    .exitOverride()
    .addCommand(restoredCommand(context))
    .addCommand(secretsCommand(context));
}
