import { X509Certificate } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { makeSecrets } from '../make-secrets.ts';

const dayMs = 24 * 60 * 60 * 1000;

async function newDirectory(t: ExecutionContext): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), 'silo-secrets-'));
  t.teardown(() => rm(parent, { recursive: true, force: true }));
  return join(parent, 'secrets');
}

/** The text of each file. */
async function contents(directory: string): Promise<Record<string, string>> {
  const texts: Record<string, string> = {};
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    if (entry.isFile()) texts[file.slice(directory.length + 1)] = await readFile(file, 'utf8');
  }
  return texts;
}

test('each process gets a certificate of its role and names, and each user a password', async (t) => {
  const directory = await newDirectory(t);
  const { made, ending } = await makeSecrets(directory, { region: 'eu', hosts: ['silo.test'] });
  const files = await contents(directory);
  t.deepEqual(
    made.sort(),
    Object.keys(files)
      .map((file) => join(directory, file))
      .sort(),
  );
  t.deepEqual(ending, []);
  const namesIn = (file: string) => new X509Certificate(files[file] ?? '').subjectAltName ?? '';
  for (const name of ['org', 'project', 'token', 'billing', 'edge']) {
    const names = namesIn(`certificates/service-${name}.pem`);
    t.true(names.startsWith(`URI:spiffe://silo.internal/eu/service/${name}, `), names);
    t.true(names.endsWith(`, DNS:${name}, DNS:silo.test`), names);
  }
  for (const name of ['mongodb-1', 'mongodb-2', 'mongodb-3', 'nats']) {
    const names = namesIn(`certificates/server-${name}.pem`);
    t.true(names.startsWith(`URI:spiffe://silo.internal/eu/server/${name}, `), names);
    t.true(names.endsWith(`, DNS:${name}`), names);
  }
  const passwords = Object.keys(files).filter((file) => file.includes('passwords/'));
  t.is(passwords.length, 5 + 7);
  for (const name of ['admin', 'org', 'project', 'token', 'billing']) {
    const password = files[`mongodb/passwords/${name}`]?.trim();
    t.true(files[`mongodb/urls/${name}`]?.startsWith(`mongodb://${name}:${password}@mongodb-1:`));
  }
  t.is(new Set(passwords.map((file) => files[file])).size, passwords.length);
});

test('only the owner, who is never root, can read the files', async (t) => {
  const directory = await newDirectory(t);
  const { made } = await makeSecrets(directory);
  const uid = process.getuid?.() || 10_001;
  for (const file of made) {
    const found = await stat(file);
    t.deepEqual([found.mode & 0o777, found.uid], [0o600, uid], file);
  }
  t.is((await stat(directory)).mode & 0o777, 0o700);
  const variables = await readFile(join(directory, 'compose.env'), 'utf8');
  t.regex(
    variables,
    new RegExp(`^SILO_SECRETS=${directory}\nSILO_USER=${uid}:\\d+\nSILO_REGION=us\n$`),
  );
});

test('a second run changes nothing, and keeps the region and hosts of the first', async (t) => {
  const directory = await newDirectory(t);
  await makeSecrets(directory, { region: 'eu', hosts: ['silo.test'] });
  const before = await contents(directory);
  t.deepEqual(await makeSecrets(directory), { made: [], ending: [] });
  t.deepEqual(await contents(directory), before);
  await t.throwsAsync(makeSecrets(directory, { region: 'us' }), {
    message: /is of region eu: use another directory/,
  });
});

test('a variable that the operator sets in compose.env is kept', async (t) => {
  const directory = await newDirectory(t);
  await makeSecrets(directory);
  const file = join(directory, 'compose.env');
  const before = await readFile(file, 'utf8');
  await writeFile(file, `# ours\nSILO_SIGNUP=closed\n${before}`);
  await makeSecrets(directory);
  t.is(await readFile(file, 'utf8'), `${before}# ours\nSILO_SIGNUP=closed\n`);
  t.deepEqual(await makeSecrets(directory), { made: [], ending: [] });
});

test('renewing replaces only certificates that end soon', async (t) => {
  const directory = await newDirectory(t);
  await makeSecrets(directory);
  const before = await contents(directory);
  t.deepEqual(await makeSecrets(directory, { renew: true }), { made: [], ending: [] });
  const now = () => Date.now() + 340 * dayMs;
  const waiting = await makeSecrets(directory, { now });
  t.deepEqual(waiting.made, []);
  t.is(waiting.ending.length, 11);
  const { made, ending } = await makeSecrets(directory, { now, renew: true });
  t.deepEqual(ending, []);
  // Eleven certificates and keys; three of them also as one file with both.
  t.is(made.length, 2 * 11 + 3);
  const after = await contents(directory);
  for (const [file, text] of Object.entries(before)) {
    const isReplaced = /^certificates\/(service|server|staff|guard)-/.test(file);
    t.is(after[file] !== text, isReplaced, file);
  }
});
