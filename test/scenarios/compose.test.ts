import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createContext, runInContext } from 'node:vm';
import { startMongod } from '@silo/embedded/mongod.ts';
import { natsAccounts, natsUsers } from '@silo/embedded/nats-users.ts';
import { freePort } from '@silo/embedded/ports.ts';
import { startProcess } from '@silo/embedded/processes.ts';
import { natsOptions } from '@silo/events/nats-options.ts';
import test, { type ExecutionContext } from 'ava';
import { type Document, MongoClient } from 'mongodb';
import { connect } from 'nats';
import { required } from '../harness/environment.ts';
import { eventually } from '../harness/eventually.ts';

const root = join(import.meta.dirname, '..', '..');
const deploy = join(root, 'deploy');

async function temporaryDirectory(t: ExecutionContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'silo-compose-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** What docker compose reads from `.env`. */
async function makePasswords(): Promise<Record<string, string>> {
  const { stdout } = await promisify(execFile)(join(deploy, 'passwords.sh'));
  return Object.fromEntries(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.split('=')),
  );
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
  const directory = await temporaryDirectory(t);
  const passwords = await makePasswords();
  const port = await freePort();
  const server = await startProcess({
    name: 'nats-server',
    command: required('NATS_SERVER_BINARY'),
    args: [
      ...['--config', join(deploy, 'nats-server.conf'), '--store_dir', join(directory, 'data')],
      ...['--addr', '127.0.0.1', '--port', String(port)],
    ],
    directory,
    logFile: join(directory, 'nats-server.log'),
    environment: passwords,
  });
  t.teardown(() => server.stop());
  const open = async (user: string, password: string | undefined) => {
    const url = `nats://${user}:${password}@127.0.0.1:${port}`;
    return await connect({ ...natsOptions({ url }), reconnect: false });
  };
  for (const user of natsUsers) {
    const password = passwords[`NATS_${user.toUpperCase()}_PASSWORD`];
    const connection = await eventually(() => open(user, password));
    await connection.close();
    await t.throwsAsync(open(user, 'wrong'), { code: 'AUTHORIZATION_VIOLATION' });
  }
  const subscriber = await open('subscriber', passwords.NATS_SUBSCRIBER_PASSWORD);
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
