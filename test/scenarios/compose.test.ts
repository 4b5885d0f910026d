import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createContext, runInContext } from 'node:vm';
import { startMongod } from '@silo/embedded/mongod.ts';
import { natsAccounts, natsUsers } from '@silo/embedded/nats-users.ts';
import { natsOptions } from '@silo/events/nats-options.ts';
import test, { type ExecutionContext } from 'ava';
import { type Document, MongoClient } from 'mongodb';
import { connect } from 'nats';
import { deploy, makePasswords, startComposeNats } from '../harness/compose-nats.ts';
import { required } from '../harness/environment.ts';

const root = join(deploy, '..');

async function temporaryDirectory(t: ExecutionContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'silo-compose-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

test('the users of NATS in compose are those of npm start', async (t) => {
  const file = await readFile(join(deploy, 'nats-server.conf'), 'utf8');
  const events = { stream: 'SILO', subjectPrefix: 'silo.v1' };
  t.true(file.endsWith(natsAccounts(events, (user) => `$NATS_${user.toUpperCase()}_PASSWORD`)));
});

test('compose demands each password that its files name', async (t) => {
  const compose = await readFile(join(root, 'docker-compose.yml'), 'utf8');
  const demanded = [...compose.matchAll(/\$\{(\w+):\?\}/g)].map(([, name]) => name);
  t.deepEqual(demanded.sort(), Object.keys(await makePasswords()).sort());
});

test('nats-server takes the configuration of compose, and its users have their rights', async (t) => {
  const { urlOf } = await startComposeNats(t);
  const open = (url: string) => connect({ ...natsOptions({ url }), reconnect: false });
  for (const user of natsUsers) {
    const connection = await open(urlOf(user));
    await connection.close();
    const wrong = open(urlOf(user, { password: 'wrong' }));
    await t.throwsAsync(wrong, { code: 'AUTHORIZATION_VIOLATION' });
  }
  const subscriber = await open(urlOf('subscriber'));
  const refused = Promise.withResolvers<unknown>();
  const watch = async () => {
    for await (const status of subscriber.status()) refused.resolve(status.permissionContext);
  };
  watch().catch(refused.reject);
  subscriber.publish('silo.v1.token.revoked.prj_1', '{}');
  t.like(await refused.promise, { operation: 'publish', subject: 'silo.v1.token.revoked.prj_1' });
  await subscriber.close();
});

test('the users of MongoDB in compose reach their own databases alone', async (t) => {
  const passwords = await makePasswords();
  const created: Document[] = [];
  const admin = { createUser: (user: Document) => created.push(user) };
  const script = await readFile(join(deploy, 'mongodb-users.js'), 'utf8');
  runInContext(
    script,
    createContext({ db: { getSiblingDB: () => admin }, process: { env: passwords } }),
  );
  await using mongod = await startMongod({
    binary: required('MONGOD_BINARY'),
    directory: await temporaryDirectory(t),
    // Other databases than the script's: else these users are there already.
    databasePrefix: 'other',
  });
  await using client = new MongoClient(mongod.url);
  for (const { user, pwd, roles } of created) {
    const plain = JSON.parse(JSON.stringify(roles));
    await client.db('admin').command({ createUser: `compose-${user}`, pwd, roles: plain });
    const url = mongod.url.replace(/\/\/.*@/, `//compose-${user}:${pwd}@`);
    await using own = new MongoClient(url);
    await own.db(`silo_${user}`).collection('things').insertOne({});
    for (const name of ['org', 'project', 'token', 'billing'].filter((each) => each !== user)) {
      const foreign = own.db(`silo_${name}`).collection('things').findOne({});
      await t.throwsAsync(foreign, { code: 13 });
    }
  }
  t.is(created.length, 4);
});

test('mongod takes the settings of compose', async (t) => {
  const compose = await readFile(join(root, 'docker-compose.yml'), 'utf8');
  const [, command = ''] =
    /exec docker-entrypoint\.sh mongod ([\s\S]*?)\n {4}ports/.exec(compose) ?? [];
  const settings = command
    .replace(/\\\n\s*/g, ' ')
    .trim()
    .split(/\s+/);
  t.deepEqual(settings.slice(0, 5), ['--replSet', 'silo', '--keyFile', '$$key', '--bind_ip_all']);
  const args = [...settings.slice(5), '--outputConfig'];
  const { stdout } = await promisify(execFile)(required('MONGOD_BINARY'), args);
  t.regex(stdout, /slowOpThresholdMs: 2147483647/);
});

test('docs/configuration.md and npm start have the settings of mongod that compose has', async (t) => {
  const compose = await readFile(join(root, 'docker-compose.yml'), 'utf8');
  const page = await readFile(join(root, 'docs', 'configuration.md'), 'utf8');
  const settings: string[] = compose.match(/--(?:slowms|setParameter) \S+/g) ?? [];
  t.true(settings.length >= 2);
  for (const setting of settings) t.true(page.includes(`\`${setting}\``), setting);
  const client = new MongoClient(required('MONGODB_URL'));
  t.teardown(() => client.close());
  const parameter = { getParameter: 1, transactionLifetimeLimitSeconds: 1 };
  const { transactionLifetimeLimitSeconds } = await client.db('admin').command(parameter);
  t.true(
    settings.includes(
      `--setParameter transactionLifetimeLimitSeconds=${transactionLifetimeLimitSeconds}`,
    ),
  );
});
