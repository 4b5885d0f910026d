import assert from 'node:assert/strict';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { noNames } from '@silo/cli/completion/names.ts';
import { signedInHome } from '../harness/cli.ts';
import { eventually } from '../harness/eventually.ts';
import { keys } from '../harness/terminal.ts';
import { choosePlan, createOrganization, createProject, isLive, scenarios } from './support.ts';

const test = scenarios();

test('a key is created with scopes, restrictions and expiry, and its secret is shown once', async (t) => {
  const { cli, person } = await signedInHome(t);
  const reach = ['--org', person.organization.name, '--project', person.projectId];
  const words = ['keys', 'create', 'ci', '--scope', 'project:read', 'token:read', ...reach];
  const { apiKey, secret } = await cli.json([...words, '--expires', '90d']);
  t.like(apiKey, {
    name: 'ci',
    scopes: ['project:read', 'token:read'],
    organizationIds: [person.organization.id],
    projectIds: [person.projectId],
  });
  const days = (Date.parse(String(apiKey?.expireTime)) - Date.now()) / 86_400_000;
  t.true(days > 89 && days <= 90);
  t.true(await isLive(t.context.silo, String(secret)));
  const shown = await cli.run(['keys', 'show', 'ci']);
  t.is(shown.code, 0);
  t.false(shown.output.includes(String(secret)));
  const listed = await cli.run(['keys', 'list']);
  t.regex(listed.output, /^\* {2}First key/m);
  t.regex(listed.output, /^ {3}ci .* Ada’s organization, Default Project {2}/m);
  t.notRegex(listed.output, /(org|prj|key)_/);
  t.regex((await cli.run(['keys', 'list', '--ids'])).output, /^ {3}ci \(key_\w+\) .*prj_/m);
});

test('a key is updated by field, disabled, enabled, rolled and deleted', async (t) => {
  const { cli } = await signedInHome(t);
  const { secret } = await cli.json(['keys', 'create', 'ci', '--scope', 'project:read']);
  const live = () => isLive(t.context.silo, String(secret));
  t.like(await cli.json(['keys', 'update', 'ci', '--name', 'CI', '--expires', '2099-01-31']), {
    apiKey: { name: 'CI', scopes: ['project:read'], expireTime: '2099-01-31T00:00:00Z' },
  });
  const forever = await cli.json(['keys', 'update', 'CI', '--no-expires']);
  t.is(forever.apiKey?.expireTime, undefined);
  t.like(await cli.json(['keys', 'disable', 'CI']), { apiKey: { disabled: true } });
  t.false(await live());
  t.like(await cli.json(['keys', 'enable', 'CI']), { apiKey: { disabled: false } });
  t.true(await live());
  const rolled = await cli.json(['keys', 'roll', 'CI', '--overlap', '1h']);
  t.not(rolled.secret, secret);
  t.true(await live(), 'the old secret works for another hour');
  t.truthy(rolled.apiKey?.overlapExpireTime);
  const terminal = cli.inTerminal(['keys', 'delete', 'CI']);
  await terminal.sees('Type the key’s name to confirm:');
  terminal.type(`CI${keys.enter}`);
  t.is(await terminal.ended, 0, terminal.screen());
  t.false(await isLive(t.context.silo, String(rolled.secret)));
});

for (const [what, words] of [
  ['is disabled', ['disable']],
  ['gets fewer scopes', ['update', '--scope', 'key:write']],
  ['is restricted', ['update', '--project', 'Default Project']],
  ['gets an expiry', ['update', '--expires', '90d']],
] as const) {
  test(`the key that the user is signed in with ${what} only after a confirmation`, async (t) => {
    const { cli, person } = await signedInHome(t);
    const [command, ...options] = words;
    const all = ['keys', command, 'First key', ...options];
    const before = await cli.json(['keys', 'show', 'First key']);
    const unattended = await cli.run(all);
    t.is(unattended.code, 2);
    t.is(unattended.output, '');
    t.regex(unattended.errors, /It is the key that you are signed in with/);
    t.regex(unattended.errors, /confirm with --yes/);
    const terminal = cli.inTerminal(all);
    await terminal.sees('Type the key’s name to confirm:');
    terminal.type(`no${keys.enter}`);
    t.is(await terminal.ended, 7, terminal.screen());
    const { lastUseTime: _, ...key } = before.apiKey ?? {};
    t.like(await cli.json(['keys', 'show', 'First key']), { apiKey: key });
    t.is((await cli.run([...all, '--yes'])).code, 0);
    t.is(await isLive(t.context.silo, person.apiKey), command !== 'disable');
  });
}

test('changes that remove nothing from the user’s own key, or concern another key, need no confirmation', async (t) => {
  const { cli } = await signedInHome(t);
  await cli.json(['keys', 'update', 'First key', '--name', 'Mine', '--everywhere']);
  await cli.json(['keys', 'create', 'ci', '--scope', '*']);
  await cli.json(['keys', 'update', 'ci', '--scope', 'project:read', '--expires', '90d']);
  t.like(await cli.json(['keys', 'disable', 'ci']), { apiKey: { disabled: true } });
});

for (const [what, words] of [
  ['an unknown scope', ['create', 'x', '--scope', 'everything']],
  ['no scope', ['create', 'x']],
  ['an invalid time', ['create', 'x', '--scope', '*', '--expires', 'soon']],
  ['an invalid overlap', ['roll', 'First key', '--overlap', '1 hour']],
  ['nothing to change', ['update', 'First key']],
  ['contradicting reaches', ['update', 'First key', '--everywhere', '--project', 'x']],
] as const) {
  test(`${what} ends with exit code 2, and changes nothing`, async (t) => {
    const { cli, person } = await signedInHome(t);
    const { code, output, errors } = await cli.run(['keys', ...words]);
    t.is(code, 2);
    t.is(output, '');
    t.regex(errors, /^error: /);
    const { apiKeys } = await person.api.apiKeys.listApiKeys({ pageSize: 0, pageToken: '' });
    t.deepEqual(
      apiKeys.map(({ name }) => name),
      ['First key'],
    );
  });
}

test('a key that lacks a scope is refused with the required scope and the next step', async (t) => {
  const { cli } = await signedInHome(t);
  const words = ['keys', 'create', 'narrow', '--scope', 'account:read'];
  const { secret } = await cli.json(words);
  await cli.json(['login', '--dev', '--profile', 'narrow'], String(secret));
  const { code, errors } = await cli.run(['projects', '--profile', 'narrow']);
  t.is(code, 4);
  t.regex(errors, /does not have the scope project:read/);
  t.regex(errors, /silo keys create NAME --scope project:read/);
});

test('completion offers the names of projects, organizations and keys that need no quotes', async (t) => {
  const { cli, person } = await signedInHome(t);
  await choosePlan(person.api, person.organization.id);
  await createProject(person.api, person.organization.id, { name: 'Website' });
  await createProject(person.api, person.organization.id, { name: 'Web $(shop)' });
  await createOrganization(person.api, 'Acme');
  await cli.json(['keys', 'create', 'ci', '--scope', 'project:read']);
  const file = join(cli.directory, '.cache', 'silo', 'names-dev.json');
  const kept = async () => JSON.parse(await readFile(file, 'utf8')).names;
  const offered = async (...words: string[]) => {
    const { output } = await cli.run(['complete', '--', ...words]);
    return output.split('\n').map((line) => line.split('\t')[0]);
  };
  // On a busy machine the names may take longer than 1.5 s; then none are offered for a minute.
  await eventually(async () => {
    await rm(file, { force: true });
    await offered('switch', '');
    assert.notDeepEqual(await kept(), noNames);
  });
  t.deepEqual(await offered('switch', 'Web'), ['Website', ':4', '']);
  t.deepEqual(await offered('move', 'Website', '--to', 'A'), ['Acme', ':4', '']);
  t.deepEqual(await offered('keys', 'show', 'c'), ['ci', ':4', '']);
  t.deepEqual((await kept()).key.toSorted(), ['First key', 'ci']);
});
