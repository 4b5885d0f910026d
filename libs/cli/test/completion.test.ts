import { access, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { makeAuthority } from '@silo/embedded/make-certificate.ts';
import { newId } from '@silo/tokens/ids.ts';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { run } from '../../../test/harness/command.ts';
import { keys, openTerminal, type TerminalRun } from '../../../test/harness/terminal.ts';
import type { Names } from '../completion/names.ts';
import { type Profile, Profiles } from '../profiles.ts';

const command = resolve(import.meta.dirname, '../silo.mjs');

/**
 * A directory in which shells start: `silo` is on its PATH, and its completion is in a file.
 * Commands other than completion only print the words that `silo` receives.
 */
type Shells = { directory: string; path: string };
const test = anyTest as TestFn<Shells>;

// Project names that users may choose.
const projectNames = [
  'Website',
  'Default Project',
  'Acme/Default Project',
  '$(touch ran)',
  '`touch ran`',
  '; touch ran &',
  '$HOME',
  `it's "so"`,
  "maybe'",
  'a!b',
  'back\\slash',
  'a:b c:d',
  'x=y z',
  'me@host a',
  '=ls',
  '#1 été',
  '50% *off*?',
  '{a,b}',
  '<in> |out',
  '[set]',
  '日本 語',
  ':4',
];
const notOffered = ['--yes', '-x', '~root', 'line\nbreak'];

test.before(async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'silo-completion-'));
  const path = `${directory}:${process.env.PATH}`;
  t.context = { directory, path };
  const script = `#!/bin/sh
case $1 in complete | completion) exec '${process.execPath}' '${command}' "$@" ;; esac
printf '<%s>' "$@"
echo
`;
  await writeFile(join(directory, 'silo'), script, { mode: 0o755 });
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { output } = await run(join(directory, 'silo'), ['completion', shell]);
    await writeFile(join(directory, `silo.${shell}`), output);
  }
  await signIn(directory);
});

/** Stores a profile whose names were read just now. */
async function signIn(home: string): Promise<void> {
  const account = { id: newId('acc'), email: 'ada@example.com' };
  const ca = join(home, 'ca.pem');
  const validity = { notBefore: new Date(), notAfter: new Date(Date.now() + 86_400_000) };
  await writeFile(ca, (await makeAuthority('CN=Test', validity)).certificate);
  const address = 'localhost:1';
  const services = { org: address, project: address, token: address, billing: address };
  const profile: Profile = { region: 'us', ca, services, account, apiKey: '-' };
  await new Profiles({ HOME: home }).write('us', profile);
  const names: Names = {
    project: [...projectNames, ...notOffered],
    organization: ['Acme', 'Example Ltd'],
    key: [],
  };
  const cache = join(home, '.cache', 'silo');
  await mkdir(cache, { recursive: true });
  const cached = { accountId: account.id, untilMs: Number.MAX_SAFE_INTEGER, names };
  await writeFile(join(cache, 'names-us.json'), JSON.stringify(cached));
}

test.after.always((t) => rm(t.context.directory, { recursive: true, force: true }));

type Completed = [typed: string, completed: string];

// What a person types before the tab key, and the line afterwards.
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
  ['silo keys create ci --scope pr', 'silo keys create ci --scope project:'],
  ['silo switch W', 'silo switch Website '],
  ['silo switch "W', 'silo switch "Website" '],
  ['silo switch Web" (1)"', 'silo switch Web" (1)"'],
  ['silo move "Default Project" --to Exam', 'silo move "Default Project" --to Example\\ Ltd '],
  ['silo move Website --to=Exam', 'silo move Website --to=Example\\ Ltd '],
  ['silo switch $(touch ran) --no-c', 'silo switch $(touch ran) --no-color '],
];

// The beginning of a name as typed, and the whole name.
const named: [typed: string, name: string][] = [
  ['Def', 'Default Project'],
  ['"Def', 'Default Project'],
  ["'Def", 'Default Project'],
  ['Default\\ Pr', 'Default Project'],
  ['Acme/D', 'Acme/Default Project'],
  ["'$(", '$(touch ran)'],
  ['"\\$(', '$(touch ran)'],
  ['\\$\\(', '$(touch ran)'],
  ["'`", '`touch ran`'],
  ['\\;', '; touch ran &'],
  ['\\$H', '$HOME'],
  ['it', `it's "so"`],
  ['"it', `it's "so"`],
  ["'ma", "maybe'"],
  ['a!', 'a!b'],
  ['ba', 'back\\slash'],
  ['"ba', 'back\\slash'],
  ['a:b\\ ', 'a:b c:d'],
  ['a:b\\ c:', 'a:b c:d'],
  ['"a:b c:', 'a:b c:d'],
  ['x=', 'x=y z'],
  ['me@', 'me@host a'],
  ['\\=', '=ls'],
  ['\\#', '#1 été'],
  ['50', '50% *off*?'],
  ['\\{', '{a,b}'],
  ['\\<', '<in> |out'],
  ['\\[', '[set]'],
  ['日', '日本 語'],
  [':', ':4'],
];

/** An interactive shell that loads the completion and prompts with `ready>`. */
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

/** Starts the shell and loads the completion; returns at its prompt. */
async function start(t: ExecutionContext<Shells>, { file, args, load }: Shell) {
  const { directory, path } = t.context;
  const terminal = { TERM: 'xterm-256color', LANG: 'C.UTF-8', PS1: prompt };
  const environment = { PATH: path, HOME: directory, ...terminal };
  const shell = openTerminal(file, args, { directory, environment });
  await shell.sees(prompt.trimEnd());
  shell.type(load + keys.enter);
  await shell.sees(new RegExp(`${load}\\n${prompt.trimEnd()}`));
  return shell;
}

async function leave(t: ExecutionContext<Shells>, shell: TerminalRun): Promise<void> {
  shell.type(`exit 0${keys.enter}`);
  t.is(await shell.ended, 0, shell.screen());
  await t.throwsAsync(access(join(t.context.directory, 'ran')), { code: 'ENOENT' });
}

async function completesLines(t: ExecutionContext<Shells>, which: Shell): Promise<void> {
  const shell = await start(t, which);
  for (const [typed, expected] of completed) {
    // The period makes a space at the end of the line visible.
    shell.type(`${typed}${keys.tab}.`);
    await shell.sees(`${prompt}${expected}.`);
    // Not Ctrl-C: fish loses one that arrives while it draws the line.
    shell.type(keys.eraseLine);
    await shell.sees(/(^|\n)ready>$/);
  }
  await leave(t, shell);
}

async function completesNames(t: ExecutionContext<Shells>, which: Shell): Promise<void> {
  const shell = await start(t, which);
  // Zsh and fish add quotes themselves, so each name is tested once.
  const seen = new Set<string>();
  for (const [at, [typed, name]] of named.entries()) {
    if (which !== shells.bash && seen.has(name)) continue;
    seen.add(name);
    shell.type(`silo switch --request-id ${at} ${typed}${keys.tab}${keys.enter}`);
    await shell.sees(`<--request-id><${at}><${name}>`);
  }
  for (const name of notOffered) {
    const typed = name.slice(0, 2);
    shell.type(`silo switch '${typed}${keys.tab}.'${keys.enter}`);
    await shell.sees(`<switch><${typed}.>`);
  }
  await leave(t, shell);
}

for (const name of ['bash', 'zsh', 'fish'] as const) {
  // Zsh and fish are not installed on every machine.
  const where = async (t: ExecutionContext<Shells>, check: typeof completesLines) => {
    const found = await run(name, ['--version']).catch(() => undefined);
    if (found?.code === 0) return check(t, shells[name]);
    t.log(`the test does nothing: ${name} is not installed`);
    t.pass();
  };
  test.serial(`${name} completes commands, options and values`, (t) => where(t, completesLines));
  test.serial(`${name} completes names literally and executes none of them`, (t) =>
    where(t, completesNames),
  );
}
