import { Command } from '@commander-js/extra-typings';
import { mongodbUsersCommand } from './commands/mongodb-users.ts';
import { restoredCommand } from './commands/restored.ts';
import { secretsCommand } from './commands/secrets.ts';

/** What the process passes to a command. */
export type CommandContext = { print(line: string): void; signal: AbortSignal };

/** `silo-admin`: the commands for operators of a deployment. */
export function createProgram(context: CommandContext): Command {
  return new Command('silo-admin')
    .description('Sets up a deployment of Silo.')
    .exitOverride()
    .addCommand(mongodbUsersCommand(context))
    .addCommand(restoredCommand(context))
    .addCommand(secretsCommand(context));
}
