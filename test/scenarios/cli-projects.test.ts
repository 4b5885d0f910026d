import { emptyHome, signedInHome } from '../harness/cli.ts';
import { keys } from '../harness/terminal.ts';
import { choosePlan, createProject, present, scenarios } from './support.ts';

const test = scenarios();

const escapeKey = '\u001b';

test('the project switcher filters by the typed text, marks the current project, and chooses with Enter', async (t) => {
  const { cli, person } = await signedInHome(t);
  await choosePlan(person.api, person.organization.id);
  const web = await createProject(person.api, person.organization.id, { name: 'Web site' });
  await createProject(person.api, person.organization.id, { name: 'Warehouse' });
  await cli.json(['switch', person.projectId]);
  const terminal = cli.inTerminal(['switch']);
  await terminal.sees('Default Project — Ada’s organization (current)');
  await terminal.sees('Warehouse');
  terminal.type('web');
  await terminal.misses('Warehouse');
  await terminal.sees('❯ Web site');
  terminal.type(keys.enter);
  t.is(await terminal.ended, 0, terminal.screen());
  t.regex(terminal.screen(), /Working in Web site/);
  const { account } = await person.api.accounts.getAccount({});
  t.is(present(account).currentProjectId, web.id);
  const listed = await cli.run(['projects']);
  t.regex(listed.output, /\* {2}Web site/);
});

test('the cursor of the switcher begins at the current project', async (t) => {
  const { cli, person } = await signedInHome(t);
  await choosePlan(person.api, person.organization.id);
  const zoo = await createProject(person.api, person.organization.id, { name: 'Zoo' });
  await cli.json(['switch', 'Zoo']);
  const terminal = cli.inTerminal(['switch']);
  await terminal.sees('❯ Zoo');
  terminal.type(keys.enter);
  t.is(await terminal.ended, 0);
  t.is(present((await person.api.accounts.getAccount({})).account).currentProjectId, zoo.id);
});

for (const [name, key] of [
  ['Ctrl-C', keys.ctrlC],
  ['Ctrl-D', keys.ctrlD],
] as const) {
  test(`${name} in the switcher changes nothing and ends with exit code 130`, async (t) => {
    const { cli, person } = await signedInHome(t);
    const terminal = cli.inTerminal(['switch']);
    await terminal.sees('Default Project');
    terminal.type(key);
    t.is(await terminal.ended, 130, terminal.screen());
    t.is(present((await person.api.accounts.getAccount({})).account).currentProjectId, '');
  });
}

test('without a terminal the switcher does not prompt, and says what to give instead', async (t) => {
  const { cli } = await signedInHome(t);
  const { code, output, errors } = await cli.run(['switch']);
  t.is(code, 2);
  t.is(output, '');
  t.regex(errors, /There is no terminal for a prompt: name the project/);
});

test('a project is deleted only if its name is typed', async (t) => {
  const { cli, person } = await signedInHome(t);
  const isThere = () =>
    person.api.projects.getProject({ projectId: person.projectId }).then(
      () => true,
      () => false,
    );
  const wrong = cli.inTerminal(['project', 'delete', 'Default Project']);
  await wrong.sees('Type the project’s name to confirm:');
  wrong.type(`default${keys.enter}`);
  t.is(await wrong.ended, 7, wrong.screen());
  t.regex(wrong.screen(), /Nothing was changed/);
  const interrupted = cli.inTerminal(['project', 'delete', 'Default Project']);
  await interrupted.sees('Type the project’s name to confirm:');
  interrupted.type(`Default Project${keys.ctrlC}`);
  t.is(await interrupted.ended, 130);
  const unasked = await cli.run(['project', 'delete', 'Default Project']);
  t.is(unasked.code, 2);
  t.regex(unasked.errors, /confirm with --yes/);
  t.true(await isThere());
  const right = cli.inTerminal(['project', 'delete', 'Default Project']);
  await right.sees('Type the project’s name to confirm:');
  right.type(`Default Project${keys.enter}`);
  t.is(await right.ended, 0, right.screen());
  t.false(await isThere());
});

test('a project’s name cannot control the terminal', async (t) => {
  const { cli, person } = await signedInHome(t);
  const { mongo, databasePrefix } = t.context.silo;
  const name = '\u001b[2J\u001b]0;owned\u0007Evil\u202e';
  const renamed = await cli.run(['project', 'rename', person.projectId, name]);
  t.regex(renamed.errors, /INVALID_FIELD/);
  // A name that an earlier release accepted and stored.
  const projects = mongo.db(`${databasePrefix}_project`).collection<{ _id: string }>('projects');
  await projects.updateOne({ _id: person.projectId }, { $set: { name } });
  const listed = cli.inTerminal(['projects']);
  t.is(await listed.ended, 0);
  t.true(listed.raw().includes('\ufffd[2J\ufffd]0;owned\ufffdEvil\ufffd'));
  const switcher = cli.inTerminal(['switch']);
  await switcher.sees('Evil');
  t.true(switcher.raw().includes('\ufffd[2J'));
  switcher.type(keys.ctrlC);
  await switcher.ended;
  t.false((listed.raw() + switcher.raw()).includes('\u001b]0;owned'));
});

test('a project is found by id, by name in any case, and by organization and name', async (t) => {
  const { cli, person } = await signedInHome(t);
  t.is((await cli.run(['project', 'show'])).code, 2, 'no project is current yet');
  const other = await cli.json(['org', 'create', 'Other']);
  t.is(
    (await cli.json(['project', 'show'])).project?.id,
    other.projectId,
    'the new one is current',
  );
  const found = async (given: string) => (await cli.json(['project', 'show', given])).project?.id;
  t.is(await found(person.projectId), person.projectId as never);
  t.is(await found('Other/Default Project'), other.projectId);
  t.is(await found('other/default project'), other.projectId);
  const ambiguous = await cli.run(['project', 'show', 'Default Project']);
  t.is(ambiguous.code, 2);
  t.regex(ambiguous.errors, /Several are called/);
  t.true(
    ambiguous.errors.includes('"Ada’s organization/Default Project", "Other/Default Project"'),
  );
  t.is((await cli.run(['project', 'show', 'Nope'])).code, 4);
});

test('settings are shown, and only the given ones are changed', async (t) => {
  const { cli, person } = await signedInHome(t);
  const words = ['project', 'settings', person.projectId];
  const urls = ['--app-url', 'https://a.example.com', 'https://b.example.com'];
  await cli.json([...words, '--time-zone', 'Europe/Berlin', '--anonymize-ips']);
  await cli.json([...words, ...urls]);
  await cli.json([...words, '--retention-days', '90', '--index', 'plan', 'path']);
  t.like((await cli.json(words)).project?.settings, {
    timeZone: 'Europe/Berlin',
    appUrls: ['https://a.example.com', 'https://b.example.com'],
    anonymizeIps: true,
    retentionDays: 90,
    indexedProperties: ['plan', 'path'],
  });
  await cli.json([
    ...words,
    '--no-app-url',
    '--no-anonymize-ips',
    '--retention-days',
    '0',
    '--no-index',
  ]);
  t.like((await cli.json(words)).project?.settings, {
    timeZone: 'Europe/Berlin',
    appUrls: [],
    anonymizeIps: false,
    indexedProperties: [],
  });
  await choosePlan(person.api, person.organization.id);
  const create = ['project', 'create', 'New', '--org', person.organization.id];
  t.like(await cli.json([...create, '--retention-days', '30', '--index', 'plan']), {
    project: { settings: { retentionDays: 30, indexedProperties: ['plan'] } },
  });
});

test('regenerating a token makes a new one; at a terminal the project’s name must be typed', async (t) => {
  const { cli, person } = await signedInHome(t);
  const words = ['token', 'regenerate', person.projectId];
  const { projectToken } = await cli.json(['token', 'show', person.projectId]);
  const terminal = cli.inTerminal(words);
  await terminal.sees('Type the project’s name to confirm:');
  terminal.type(keys.ctrlC);
  t.is(await terminal.ended, 130);
  t.deepEqual((await cli.json(['token', 'show', person.projectId])).projectToken, projectToken);
  const stale = [...words, '--yes', '--expected-fingerprint', '0123456789ab'];
  t.is((await cli.run(stale)).code, 6);
  const renewed = await cli.json([...words, '--yes']);
  t.not(renewed.projectToken?.token, projectToken?.token);
});

test('a refusal by a quota shows the next step, and ends with exit code 3', async (t) => {
  const { cli, person } = await signedInHome(t);
  const words = ['project', 'create', 'Second', '--org', person.organization.id];
  const people = await cli.run(words);
  t.is(people.code, 3);
  t.is(people.output, '');
  t.regex(people.errors, /^error: The organization has 1 of at most 1/);
  t.true(people.errors.includes(`silo plan change PLAN --org ${person.organization.id}`));
  t.regex(people.errors, /reason PROJECT_LIMIT · request [0-9a-f-]{36}/);
  const scripts = await cli.run([...words, '--json']);
  t.is(scripts.code, 3);
  t.like(JSON.parse(scripts.output), {
    error: {
      exit: 3,
      code: 'RESOURCE_EXHAUSTED',
      reason: 'PROJECT_LIMIT',
      metadata: { limit: '1', count: '1' },
      quotaViolations: [{ subject: person.organization.id }],
    },
  });
});

test('an invalid value is named, and ends with exit code 2', async (t) => {
  const { cli, person } = await signedInHome(t);
  const words = ['project', 'settings', person.projectId, '--time-zone', 'no zone!'];
  const { code, errors } = await cli.run(words);
  t.is(code, 2);
  t.regex(errors, /^ {2}time zone: /m);
});

test('the same --request-id creates only once', async (t) => {
  const { cli, person } = await signedInHome(t);
  const words = ['org', 'create', 'Once', '--request-id', 'mine-1'];
  const [first, second] = [await cli.json(words), await cli.json(words)];
  t.deepEqual(first, second);
  const { organizations } = await cli.json(['org', 'list']);
  t.is((organizations as unknown as unknown[]).length, 2);
  t.is((await cli.run(['keys', 'create', 'x', '--scope', '*', '--request-id', 'y'])).code, 2);
  t.is(person.organization.name, 'Ada’s organization');
});

test('colours are shown at a terminal, not with NO_COLOR or --no-color, and not in a pipe', async (t) => {
  const { cli } = await signedInHome(t);
  const colour = new RegExp(`${escapeKey}\\[\\d+m`);
  const shown = async (words: string[], environment = {}) => {
    const terminal = cli.inTerminal(words, environment);
    await terminal.ended;
    return terminal.raw();
  };
  t.regex(await shown(['projects']), colour);
  t.notRegex(await shown(['projects'], { NO_COLOR: '1' }), colour);
  t.notRegex(await shown(['projects', '--no-color']), colour);
  t.notRegex((await cli.run(['projects'])).output, colour);
});

test('if Silo does not run, the command shows the address that it tried, and ends with exit code 5', async (t) => {
  const { cli } = await signedInHome(t);
  const away = await emptyHome(t);
  const { api } = await t.context.silo.signUp('Bob');
  t.truthy(api);
  const closed = ['org', 'project', 'token', 'billing'].map((name) => `${name}=127.0.0.1:1`);
  const { profiles } = await cli.json(['profiles']);
  const ca = String(profiles?.[0]?.ca);
  const words = ['signup', '--region', 'us', '--ca', ca, '--address', ...closed];
  const account = ['--email', 'a@example.com', '--name', 'A', '--organization', 'A'];
  const { code, errors } = await away.run([...words, ...account]);
  t.is(code, 5);
  t.regex(errors, /No answer from Silo: nothing listens at 127\.0\.0\.1:1 \(org\): ECONNREFUSED/);
  t.regex(errors, /is it running/);
});
