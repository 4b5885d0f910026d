import { readFileSync } from 'node:fs';
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import test from 'ava';
import { createCli } from '../cli.ts';
import { exitCodes, exitMeanings } from '../exit-codes.ts';
import { createProgram } from '../program.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

test('the README lists the same exit codes as the command', (t) => {
  const listed = [...readme.matchAll(/^\| (\d+) \| (\w+) \| (.*) \|$/gm)].map((row) =>
    row.slice(1),
  );
  const meant = Object.entries(exitMeanings).map(([name, meaning]) => [
    String(exitCodes[name as keyof typeof exitCodes]),
    name,
    meaning,
  ]);
  t.deepEqual(listed, meant);
});

test('the README names every command, and no others', (t) => {
  const { stdin, stdout, stderr } = process;
  const terminal = { stdin, stdout, stderr, environment: {}, directory: '.' };
  using opened = new DisposableStack();
  const { signal } = new AbortController();
  const program = createProgram((globals) => createCli(terminal, globals, { signal, opened }));
  const namesOf = (command: CommandUnknownOpts): string[] => {
    const visible = command.createHelp().visibleCommands(command);
    const below = visible.filter((each) => each.name() !== 'help');
    const paths = below.length === 0 ? [''] : below.flatMap(namesOf);
    return paths.map((path) => `${command.name()} ${path}`.trimEnd());
  };
  const commands = namesOf(program);
  const [, table = ''] = /## Commands\n([\s\S]*?)\n## /.exec(readme) ?? [];
  const named = [...table.matchAll(/`(silo [a-z -]+)`/g)].map(([, name]) => name);
  t.deepEqual(named.filter((name) => name !== 'silo help').toSorted(), commands.toSorted());
});
