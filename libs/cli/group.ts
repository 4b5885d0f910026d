import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { complainOf } from './command-words.ts';

/** Commands below one word. The word alone does the first of them, which shows or lists. */
export function group(
  name: string,
  description: string,
  [first, ...others]: [first: CommandUnknownOpts, ...others: CommandUnknownOpts[]],
): CommandUnknownOpts {
  const command = new Command(name)
    .description(description)
    .addHelpText('after', `\nAlone it does: silo ${name} ${first.name()}`)
    .addCommand(first, { isDefault: true });
  for (const each of others) command.addCommand(each);
  return command.hook('preSubcommand', (_, taken) => {
    const [word] = command.args;
    if (word === undefined || word.startsWith('-') || word === taken.name()) return;
    // The parser has taken a mistyped command for an argument of the first one.
    complainOf(command);
  });
}
