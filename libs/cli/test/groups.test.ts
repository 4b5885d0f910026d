import { CommanderError, type CommandUnknownOpts } from '@commander-js/extra-typings';
import test from 'ava';
import { commandIn } from '../command-words.ts';
import { createProgram } from '../program.ts';

/** Thrown in place of running a command. */
class Reached extends Error {
  readonly command: CommandUnknownOpts;

  constructor(command: CommandUnknownOpts) {
    super(command.name());
    this.command = command;
  }
}

function newProgram() {
  return createProgram(() => ({}) as never).hook('preAction', (_, command) => {
    throw new Reached(command);
  });
}

const groups = newProgram()
  .commands.filter(({ commands }) => commands.length > 0)
  .map((command) => command.name());

function parsing(...words: string[]) {
  return newProgram().parseAsync(words, { from: 'user' });
}

test('a group without a command runs its command that shows or lists', async (t) => {
  const done: Record<string, string> = {};
  for (const group of groups) {
    const reached = await t.throwsAsync(parsing(group), { instanceOf: Reached });
    t.is(reached.command.parent?.name(), group);
    done[group] = reached.command.name();
  }
  t.deepEqual(done, {
    profiles: 'list',
    account: 'show',
    project: 'show',
    moves: 'list',
    migrate: 'list',
    token: 'show',
    events: 'query',
    keys: 'list',
    org: 'list',
    members: 'list',
    plan: 'show',
  });
});

test('a group without a command accepts the options of its default command', async (t) => {
  const words = ['events', '--limit', '3', '--json'];
  const { command } = await t.throwsAsync(parsing(...words), { instanceOf: Reached });
  t.is(command.name(), 'query');
  t.like(command.optsWithGlobals(), { limit: 3, json: true });
});

test('in each group an unknown command is an error', async (t) => {
  for (const group of groups) {
    for (const words of [
      [group, 'nope'],
      [group, '--ids', 'nope', '--json'],
      [group, 'nope', 'x'],
    ]) {
      await t.throwsAsync(parsing(...words), {
        ...{ instanceOf: CommanderError, code: 'commander.unknownCommand' },
        message: "error: unknown command 'nope'",
      });
      t.is(commandIn(newProgram(), words).path, `silo ${group}`, 'the help that it names');
    }
  }
});

test('in each group the error for a mistyped command suggests the right one', async (t) => {
  for (const group of newProgram().commands) {
    for (const meant of group.commands.map((each) => each.name())) {
      const mistaken = parsing(group.name(), `${meant}x`);
      const { message } = await t.throwsAsync(mistaken, { instanceOf: CommanderError });
      t.regex(message, new RegExp(`\\(Did you mean (one of .*)?\\b${meant}\\b`));
    }
  }
});

test('the help of each group names its default command', async (t) => {
  for (const name of groups) {
    const program = newProgram();
    let text = '';
    const group = program.commands.find((command) => command.name() === name);
    group?.configureOutput({
      writeOut: (part) => {
        text += part;
      },
    });
    group?.outputHelp();
    t.regex(text, new RegExp(`\\nWithout a command: silo ${name} (show|list|query)\\n$`));
  }
});
