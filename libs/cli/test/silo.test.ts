import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import test from 'ava';
import { type Outcome, run } from '../../../test/harness/command.ts';

const command = resolve(import.meta.dirname, '../silo.mjs');

const silo = (...args: string[]): Promise<Outcome> => run(process.execPath, [command, ...args]);

test('help is an answer; a missing or unknown command is a mistake, with the help', async (t) => {
  const help = await silo('help');
  t.is(help.code, 0);
  t.regex(help.output, /^Usage: silo /);
  const nothing = await silo();
  t.is(nothing.code, 2);
  t.is(nothing.output, '');
  t.regex(nothing.errors, /Usage: silo /);
  const unknown = await silo('prjects');
  t.is(unknown.code, 2);
  t.regex(unknown.errors, /unknown command 'prjects'\n\(Did you mean projects\?\)/);
});

test('the release is shown', async (t) => {
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

test('the exit codes are shown, also as JSON', async (t) => {
  t.regex((await silo('help', 'exit-codes')).output, /^130 +interrupted /m);
  const { exitCodes } = JSON.parse((await silo('exit-codes', '--json')).output);
  t.like(exitCodes, { 0: { code: 0, name: 'ok' } });
});

test('an error is one JSON document for scripts', async (t) => {
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

test('a Node that is too old hands over to the one that the project brings along', async (t) => {
  const old = await findOldNode();
  if (old === undefined) {
    t.log('passed over: no older Node on PATH');
    t.pass();
    return;
  }
  const fine = await run(old, [command, 'help', 'exit-codes']);
  t.is(fine.code, 0, fine.errors);
  t.regex(fine.output, /^130 +interrupted /m);
  t.is((await run(old, [command, 'nope'])).code, 2);
});

/** A Node on PATH that does not run TypeScript as we write it. */
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
