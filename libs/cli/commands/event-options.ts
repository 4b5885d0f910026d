import type { Command } from '@commander-js/extra-typings';
import type { Cli } from '../cli.ts';
import { parseWhere } from '../event-filter.ts';
import { named } from '../names.ts';
import { parseTime } from '../times.ts';

/** Adds the filter options to a command. Without any of them the filter matches all events. */
export function withFilter<Args extends unknown[]>(command: Command<Args>) {
  return command
    .option(
      '--name <name>',
      'only events of this name; repeat it for several',
      collect<string>(same),
    )
    .option('--distinct-id <id>', 'only of this user')
    .option('--since <when>', 'from 2027-01-31T12:00Z on, or from 1h, 7d ago on', (text: string) =>
      parseTime(text, new Date()),
    )
    .option('--until <when>', 'before that time', (text: string) => parseTime(text, new Date()))
    .option(
      '--where <condition>',
      'a condition on a property: a=b a!=b a<b a>b, a^=b (begins with), a (exists); repeat it for several',
      collect(parseWhere),
    );
}

/**
 * The project that owns the events. Shows the name of the current project, because the command line
 * does not contain it.
 */
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
