import type { Command } from '@commander-js/extra-typings';
import type { Cli } from '../cli.ts';
import { parseWhere } from '../event-filter.ts';
import { named } from '../names.ts';
import { parseTime } from '../times.ts';

/** Adds the filters to a command. Without any of them all events are meant. */
export function withFilter<Args extends unknown[]>(command: Command<Args>) {
  return command
    .option('--name <name>', 'only events of this name; several: repeat it', collect<string>(same))
    .option('--distinct-id <id>', 'only of this user')
    .option('--since <when>', 'from 2027-01-31T12:00Z on, or of the last 1h, 7d', (text: string) =>
      parseTime(text, new Date()),
    )
    .option('--until <when>', 'before that time', (text: string) => parseTime(text, new Date()))
    .option(
      '--where <condition>',
      'on a property: a=b a!=b a<b a>b, a^=b (begins with), a (exists); several: repeat it',
      collect(parseWhere),
    );
}

/** Whose events are meant. The current project is named, because the command line does not. */
export async function projectOf(cli: Cli, given: string | undefined): Promise<string> {
  const { find } = await cli.signedIn();
  if (given !== undefined) return find.idOf.project(given);
  const project = await find.project(undefined);
  cli.note(['Events of ', named(project), ':']);
  return project.id;
}

const same = (text: string) => text;

function collect<Value>(parse: (text: string) => Value) {
  return (text: string, before: Value[] | undefined): Value[] => [...(before ?? []), parse(text)];
}
