import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import test from 'ava';
import { type Outcome, run } from '../../../test/harness/command.ts';

const command = resolve(import.meta.dirname, '../silo.mjs');

const silo = (...args: string[]): Promise<Outcome> => run(process.execPath, [command, ...args]);

test('help succeeds, also without a command; an unknown command is an error', async (t) => {
  for (const words of [['help'], []]) {
    const { code, output, errors } = await silo(...words);
    t.is(code, 0);
    t.regex(output, /^Usage: silo /);
    t.is(errors, '');
  }
  const unknown = await silo('prjects');
  t.is(unknown.code, 2);
  t.regex(unknown.errors, /unknown command 'prjects'\n\(Did you mean projects\?\)/);
});

test('with --json, a missing command is an error', async (t) => {
  const { code, output } = await silo('--json');
  t.is(code, 2);
  t.like(JSON.parse(output), { error: { exit: 2, message: 'A command is missing.' } });
});

test('help accepts a command below a group, and suggests commands for an unknown one', async (t) => {
  t.regex((await silo('help', 'keys', 'create')).output, /^Usage: silo keys create /);
  t.regex((await silo('help', 'keys')).output, /^Usage: silo keys /);
  t.regex((await silo('help', 'usage', 'Website')).output, /^Usage: silo usage /);
  const ofAll = 'silo help, or --help after any command';
  const project = '\n(Did you mean projects?)';
  const create = '\n(Did you mean create?)';
  for (const [words, word, meant, next] of [
    [['help', 'prjects'], 'prjects', project, ofAll],
    [['help', 'keys', 'creat'], 'creat', create, 'silo keys --help'],
    [['keys', 'help', 'creat'], 'creat', create, 'silo keys --help'],
    [['help', 'prjects', '--ids'], 'prjects', project, ofAll],
    [['--profile', 'keys', 'help', 'prjects'], 'prjects', project, ofAll],
    [['help', 'gibberish'], 'gibberish', '', ofAll],
  ] as const) {
    const { code, output, errors } = await silo(...words);
    t.is(code, 2, errors);
    t.is(output, '');
    t.is(errors, `error: unknown command '${word}'${meant}\nnext:  ${next}\n`);
  }
});

test('a usage error names the help of the command that was called', async (t) => {
  for (const [words, error, next] of [
    [['usage', '--days', 'x'], /Give a number from 1 to 366/, 'silo usage --help'],
    [
      ['--profile', 'keys', 'moves', 'lst'],
      /unknown command 'lst'/,
      'silo --profile keys moves --help',
    ],
    [['keys', 'create', 'a', 'b'], /too many arguments/, 'silo keys create --help'],
    [
      ['plan', 'change', 'x'],
      /^error: value 'x' is invalid for argument 'plan'/,
      'silo plan change --help',
    ],
    [['keys', 'creat'], /unknown command 'creat'/, 'silo keys --help'],
    [['--nope'], /unknown option/, 'silo help, or --help after any command'],
  ] as const) {
    const { code, errors } = await silo(...words);
    t.is(code, 2, errors);
    t.regex(errors, error);
    t.true(errors.endsWith(`next:  ${next}\n`), errors);
  }
});

test('--version shows the release', async (t) => {
  const { code, output } = await silo('--version');
  t.is(code, 0);
  t.regex(output, /^silo \d+\.\d+\.\d+\n$/);
});

test('the command is installed with npm install -g, as a link into the repository', async (t) => {
  const prefix = await mkdtemp(join(tmpdir(), 'silo-global-'));
  t.teardown(() => rm(prefix, { recursive: true, force: true }));
  const workspace = resolve(import.meta.dirname, '..');
  const words = ['install', '-g', '--prefix', prefix, '--offline', '--no-audit', workspace];
  const installed = await run('npm', words);
  t.is(installed.code, 0, installed.errors);
  const { code, output } = await run(join(prefix, 'bin', 'silo'), ['--version']);
  t.is(code, 0);
  t.regex(output, /^silo /);
});

test('the exit codes are shown, as text and as JSON', async (t) => {
  t.regex((await silo('help', 'exit-codes')).output, /^130 +interrupted /m);
  const { exitCodes } = JSON.parse((await silo('exit-codes', '--json')).output);
  t.like(exitCodes, { 0: { code: 0, name: 'ok' } });
});

test('with --json, an error is one JSON document', async (t) => {
  const { code, output } = await silo('projects', '--json', '--nope');
  t.is(code, 2);
  t.like(JSON.parse(output), { error: { exit: 2, message: "unknown option '--nope'" } });
});

test('a reader may close the pipe early without an error', async (t) => {
  const script = `"$0" "$1" completion zsh | true; echo "\${PIPESTATUS[0]}"`;
  const { output, errors } = await run('bash', ['-c', script, process.execPath, command]);
  t.is(output, '0\n');
  t.is(errors, '');
});

test('a Node that is too old starts the version that the project installs', async (t) => {
  const old = await findOldNode();
  if (old === undefined) {
    t.log('the test does nothing: no older Node is on PATH');
    t.pass();
    return;
  }
  const fine = await run(old, [command, 'help', 'exit-codes']);
  t.is(fine.code, 0, fine.errors);
  t.regex(fine.output, /^130 +interrupted /m);
  t.is((await run(old, [command, 'nope'])).code, 2);
});

/** A Node on PATH that is too old to run the project's TypeScript. */
async function findOldNode(): Promise<string | undefined> {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    const file = join(directory, 'node');
    try {
      accessSync(file, constants.X_OK);
    } catch {
      continue;
    }
    const { output } = await run(file, ['--version']);
    if (Number.parseInt(output.slice(1), 10) < 24) return file;
  }
  return undefined;
}
