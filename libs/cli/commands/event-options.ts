import type { Command } from '@commander-js/extra-typings';
import { parseWhere } from '../event-filter.ts';
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

const same = (text: string) => text;

function collect<Value>(parse: (text: string) => Value) {
  return (text: string, before: Value[] | undefined): Value[] => [...(before ?? []), parse(text)];
}
