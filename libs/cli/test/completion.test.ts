import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { run } from '../../../test/harness/command.ts';
import { keys, openTerminal } from '../../../test/harness/terminal.ts';

const command = resolve(import.meta.dirname, '../silo.mjs');

/** Where a shell starts: `silo` is found on its PATH, and its completion is in a file. */
type Shells = { directory: string; path: string };
const test = anyTest as TestFn<Shells>;

test.before(async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'silo-completion-'));
  const path = `${directory}:${process.env.PATH}`;
  t.context = { directory, path };
  const script = `#!/bin/sh\nexec '${process.execPath}' '${command}' "$@"\n`;
  await writeFile(join(directory, 'silo'), script, { mode: 0o755 });
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { output } = await run(join(directory, 'silo'), ['completion', shell]);
    await writeFile(join(directory, `silo.${shell}`), output);
  }
});

test.after.always((t) => rm(t.context.directory, { recursive: true, force: true }));

type Completed = [typed: string, completed: string];

// What a person types before the tab key, and what stands there after it.
const completed: Completed[] = [
  ['silo proje', 'silo project'],
  ['silo sw', 'silo switch '],
  ['silo project cr', 'silo project create'],
  ['silo project delete Web --y', 'silo project delete Web --yes '],
  [
    'silo members invite a@example.com --level ad',
    'silo members invite a@example.com --level admin ',
  ],
  ['silo plan change pay', 'silo plan change pay-as-you-go '],
  ['silo plan change pay-as-you-go --o', 'silo plan change pay-as-you-go --org '],
  ['silo keys create ci --scope project:w', 'silo keys create ci --scope project:write '],
  ['silo --profile org pl', 'silo --profile org plan '],
  ['silo login --ca silo.b', 'silo login --ca silo.bash '],
  ['silo completion z', 'silo completion zsh '],
  ['silo --profile=org project cr', 'silo --profile=org project create'],
  ['silo project delete Web --prof', 'silo project delete Web --profile '],
];

/** An interactive shell that knows the completion and shows `ready>`. */
type Shell = { file: string; args: string[]; load: string };

const shells: Record<'bash' | 'zsh' | 'fish', Shell> = {
  bash: { file: 'bash', args: ['--norc', '--noprofile', '-i'], load: 'source silo.bash' },
  // -f: no start-up files; -u: do not check the owner of the function directories.
  zsh: {
    file: 'zsh',
    args: ['-f', '-i'],
    load: 'autoload -U compinit; compinit -D -u; source silo.zsh',
  },
  fish: {
    file: 'fish',
    args: [
      '--no-config',
      '--init-command',
      'function fish_prompt; echo -n "ready> "; end; set -g fish_autosuggestion_enabled 0',
    ],
    load: 'source silo.fish',
  },
};

const prompt = 'ready> ';

/** Types this and the tab key, waits until the line is `expected`, and leaves the shell. */
async function completes(
  t: ExecutionContext<Shells>,
  { file, args, load }: Shell,
  [typed, expected]: Completed,
): Promise<void> {
  const { directory, path } = t.context;
  const environment = { PATH: path, TERM: 'xterm-256color', PS1: prompt, HOME: directory };
  const shell = openTerminal(file, args, { directory, environment });
  await shell.sees(prompt.trimEnd());
  shell.type(load + keys.enter);
  await shell.sees(new RegExp(`${load}\\n${prompt.trimEnd()}`));
  shell.type(typed + keys.tab);
  await shell.sees((prompt + expected).trimEnd());
  // The line as it stands, so that a space at its end shows.
  shell.type('.');
  await shell.sees(`${prompt}${expected}.`);
  shell.type(keys.ctrlC);
  await shell.sees(/\.[^\n]*\nready>$/);
  shell.type(`exit 0${keys.enter}`);
  t.is(await shell.ended, 0, shell.screen());
}

for (const each of completed) {
  test.serial(`bash completes \`${each[0]}\``, (t) => completes(t, shells.bash, each));
  // Unlike bash, these are not on every machine.
  for (const name of ['zsh', 'fish'] as const) {
    test.serial(`${name} completes \`${each[0]}\``, async (t) => {
      const found = await run(name, ['--version']).catch(() => undefined);
      if (found?.code === 0) return completes(t, shells[name], each);
      t.log(`passes without a check: ${name} is not installed`);
      t.pass();
    });
  }
}

test.serial('bash does not run what stands on the line', async (t) => {
  const line = 'silo switch $(touch ran) --no-c';
  await completes(t, shells.bash, [line, 'silo switch $(touch ran) --no-color ']);
  await t.throwsAsync(access(join(t.context.directory, 'ran')), { code: 'ENOENT' });
});
