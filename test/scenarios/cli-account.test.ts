import { randomUUID } from 'node:crypto';
import { chmod, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { emptyHome, signedInHome } from '../harness/cli.ts';
import { eventually } from '../harness/eventually.ts';
import { keys } from '../harness/terminal.ts';
import { addSilentGuard, isLive, scenarios } from './support.ts';

const test = scenarios();

const secretPattern = /(phx|ivc)_[0-9A-Za-z]{10}/;

test('signup stores the first key, readable by its owner only, and does not show it', async (t) => {
  const ada = await emptyHome(t);
  const email = `ada-${randomUUID()}@example.com`;
  const words = ['signup', '--dev', '--email', email, '--name', 'Ada', '--organization', 'Example'];
  const { code, output, errors } = await ada.run(words);
  t.is(code, 0, errors);
  const file = join(ada.configDirectory, 'silo', 'profiles', 'dev.json');
  t.regex(JSON.parse(await readFile(file, 'utf8')).apiKey, /^phx_/);
  t.notRegex(output + errors, secretPattern);
  t.is((await stat(file)).mode & 0o777, 0o600);
  t.is((await stat(join(file, '..'))).mode & 0o777, 0o700);
  t.deepEqual(await readdir(join(file, '..')), ['dev.json']);
  t.like(await ada.json(['account']), { account: { displayName: 'Ada', email } });
});

test('login tries the piped key, stores it with mode 0600, and does not show it', async (t) => {
  const [ada, { apiKey, account }] = await Promise.all([
    emptyHome(t),
    t.context.silo.signUp('Ada'),
  ]);
  const { code, output, errors } = await ada.run(['login', '--dev', '--json'], {
    input: `${apiKey}\n`,
  });
  t.is(code, 0, errors);
  t.like(JSON.parse(output), { account: { id: account.id } });
  t.notRegex(output + errors, secretPattern);
  const file = join(ada.configDirectory, 'silo', 'profiles', 'dev.json');
  t.is((await stat(file)).mode & 0o777, 0o600);
});

test('at a terminal login prompts for the key, and does not show what is typed', async (t) => {
  const [ada, { apiKey, account }] = await Promise.all([
    emptyHome(t),
    t.context.silo.signUp('Ada'),
  ]);
  const terminal = ada.inTerminal(['login', '--dev']);
  await terminal.sees('API key for dev');
  terminal.type(apiKey + keys.enter);
  t.is(await terminal.ended, 0, terminal.screen());
  t.regex(terminal.screen(), new RegExp(`Signed in as ${account.email}`));
  t.notRegex(terminal.raw(), secretPattern);
});

test('login refuses a key that is not live, and stores nothing', async (t) => {
  const ada = await emptyHome(t);
  const profiles = join(ada.configDirectory, 'silo', 'profiles');
  const malformed = await ada.run(['login', '--dev'], { input: 'phx_nonsense' });
  t.is(malformed.code, 2);
  t.regex(malformed.errors, /not an API key/);
  const { api, apiKey, apiKeyId } = await t.context.silo.signUp('Ada');
  await api.apiKeys.deleteApiKey({ keyId: apiKeyId, etag: '', requestId: '' });
  const dead = await ada.run(['login', '--dev', '--json'], { input: apiKey });
  t.is(dead.code, 4);
  t.like(JSON.parse(dead.output), { error: { exit: 4, reason: 'TOKEN_INVALID' } });
  t.notRegex(malformed.errors + dead.errors + dead.output, secretPattern);
  await t.throwsAsync(readdir(profiles), { code: 'ENOENT' });
});

test('login accepts a deployment from an endpoints file, or from region, CA and addresses', async (t) => {
  const [ada, { apiKey }] = await Promise.all([emptyHome(t), t.context.silo.signUp('Ada')]);
  await ada.json(['login', '--endpoints', '.silo/endpoints.json'], apiKey);
  const { ca, services } = JSON.parse(
    await readFile(join(ada.directory, '.silo/endpoints.json'), 'utf8'),
  );
  const addresses = ['org', 'project', 'token', 'billing'].map(
    (name) => `${name}=${services[name].public}`,
  );
  const by = ['--region', 'us', '--ca', ca, '--address', ...addresses];
  await ada.json(['login', '--profile', 'by-hand', ...by], apiKey);
  const { profiles } = await ada.json(['profiles']);
  t.like(profiles, [
    { name: 'by-hand', region: 'us', ca, services: { org: services.org.public }, current: true },
    { name: 'us', region: 'us', ca, current: false },
  ]);
  const missing = ['--region', 'us', '--ca', ca, '--address', addresses[0] ?? ''];
  const incomplete = await ada.run(['login', ...missing], { input: apiKey });
  t.is(incomplete.code, 2);
  t.regex(incomplete.errors, /The address of project is missing/);
});

test('profiles keep two people apart, and --profile and SILO_PROFILE choose', async (t) => {
  const { cli, person } = await signedInHome(t);
  const bob = await t.context.silo.signUp('Bob');
  await cli.json(['login', '--dev', '--profile', 'bob'], bob.apiKey);
  const accountOf = async (words: string[], environment = {}) => {
    const { output } = await cli.run(['account', '--json', ...words], { environment });
    return JSON.parse(output).account.id;
  };
  t.is(await accountOf([]), bob.account.id, 'the last login is the current one');
  t.is(await accountOf(['--profile', 'dev']), person.account.id);
  t.is(await accountOf([], { SILO_PROFILE: 'dev' }), person.account.id);
  await cli.json(['profiles', 'use', 'dev']);
  t.is(await accountOf([]), person.account.id);
  const listed = await cli.run(['profiles']);
  t.regex(listed.output, /\* {2}dev/);
  t.notRegex(listed.output + JSON.stringify(await cli.json(['profiles'])), secretPattern);
});

test('logout removes the key, and later commands say how to sign in', async (t) => {
  const { cli } = await signedInHome(t);
  t.is((await cli.run(['logout'])).code, 2, 'it may be the only copy of the key');
  const terminal = cli.inTerminal(['logout']);
  await terminal.sees('Type the profile’s name to confirm:');
  terminal.type(`other${keys.enter}`);
  t.is(await terminal.ended, 7, terminal.screen());
  t.is((await cli.run(['account'])).code, 0);
  t.deepEqual(await cli.json(['logout', '--yes']), { profile: 'dev' });
  t.deepEqual(await readdir(join(cli.configDirectory, 'silo', 'profiles')), []);
  const { code, errors } = await cli.run(['projects']);
  t.is(code, 4);
  t.regex(errors, /You are not signed in/);
  t.regex(errors, /silo login --dev/);
  t.is((await cli.run(['logout', '--profile', 'dev'])).code, 4);
});

test('a profile that others can read, or that is damaged, is not used', async (t) => {
  const { cli } = await signedInHome(t);
  const file = join(cli.configDirectory, 'silo', 'profiles', 'dev.json');
  await chmod(file, 0o644);
  const open = await cli.run(['account']);
  t.is(open.code, 2);
  t.regex(open.errors, /Other users may read/);
  t.regex(open.errors, /chmod 600/);
  await rm(file);
  await writeFile(file, '{', { mode: 0o600 });
  const damaged = await cli.run(['account']);
  t.is(damaged.code, 2);
  t.regex(damaged.errors, /is damaged/);
  const outside = await cli.run(['account', '--profile', '../../x']);
  t.is(outside.code, 2);
});

test('no key can be given on the command line', async (t) => {
  const { cli, person } = await signedInHome(t);
  for (const words of [
    ['login', '--dev', person.apiKey],
    ['login', '--dev', '--key', person.apiKey],
    ['login', '--dev', '--api-key', person.apiKey],
    ['members', 'accept', 'ivc_x'],
  ]) {
    const { code, errors } = await cli.run(words);
    t.is(code, 2);
    t.regex(errors, /unknown option|too many arguments/);
  }
});

test('rolling the key of the current profile keeps the user signed in', async (t) => {
  const { cli } = await signedInHome(t);
  const { secret } = await cli.json(['keys', 'roll', 'First key', '--yes']);
  t.regex(String(secret), /^phx_/);
  const file = join(cli.configDirectory, 'silo', 'profiles', 'dev.json');
  t.is(JSON.parse(await readFile(file, 'utf8')).apiKey, String(secret));
  t.is((await stat(file)).mode & 0o777, 0o600);
  t.is((await cli.run(['account'])).code, 0);
});

test('a roll of that key that was interrupted while it waited is completed by the same command', async (t) => {
  const { silo } = t.context;
  const { cli, person } = await signedInHome(t);
  await using guard = await addSilentGuard(silo);
  const terminal = cli.inTerminal(['keys', 'roll', 'First key', '--yes']);
  await terminal.sees('Waiting until the old access has ended everywhere');
  await eventually(async () => {
    if (await isLive(silo, person.apiKey)) throw new Error('the key is not rolled yet');
  });
  terminal.type(keys.ctrlC);
  t.is(await terminal.ended, 130, terminal.screen());
  const result = await cli.run(['account']);
  t.is(result.code, 4, 'the old secret is refused, and the new one is not known yet');
  t.regex(result.errors, /A roll of your key was interrupted: silo keys roll key_\w+ completes it/);
  t.notRegex(JSON.stringify(await cli.json(['profiles'])), /rolling|requestId/);
  await guard.release();
  await cli.json(['keys', 'roll', 'First key']);
  const after = await cli.run(['account']);
  t.is(after.code, 0, after.errors);
  t.is(after.errors, '');
});

test('a roll that is refused leaves the profile as it was', async (t) => {
  const { cli } = await signedInHome(t);
  const file = join(cli.configDirectory, 'silo', 'profiles', 'dev.json');
  const before = await readFile(file, 'utf8');
  t.is((await cli.run(['keys', 'roll', 'First key', '--overlap', '30d'])).code, 2);
  t.is(await readFile(file, 'utf8'), before);
});

test('signup does not replace an existing profile', async (t) => {
  const { cli, person } = await signedInHome(t);
  const words = [
    'signup',
    '--dev',
    '--email',
    'a@example.com',
    '--name',
    'A',
    '--organization',
    'A',
  ];
  const { code, errors } = await cli.run(words);
  t.is(code, 2);
  t.regex(errors, /There is a profile dev already/);
  t.like(await cli.json(['account']), { account: { id: person.account.id } });
});
