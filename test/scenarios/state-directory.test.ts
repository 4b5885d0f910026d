import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { type Silo, startSilo } from '@silo/embedded/silo.ts';
import { serviceNames } from '@silo/service/config.ts';
import test from 'ava';
import { type Filter, MongoClient } from 'mongodb';
import { runStory } from '../faults/story.ts';
import { type Clients, connectClients, type SignedUp } from '../harness/clients.ts';
import { eventually } from '../harness/eventually.ts';
import { connectToNats, managerOf } from '../harness/patient-nats.ts';
import { invariantsHold } from '../invariants.ts';

/** The state directory of `npm start`, after calls that made all kinds of secrets. */
let directory: string;
let silo: Silo;
let clients: Clients;
let admin: MongoClient;
let ada: SignedUp;
/** Texts that no log may contain. */
let secrets: string[];

test.before(async () => {
  directory = join(await mkdtemp(join(tmpdir(), 'silo-state-')), '.silo');
  silo = await start();
  const { ca, staff, services } = silo.endpoints;
  clients = connectClients(services, { ca, ...staff });
  admin = new MongoClient(silo.endpoints.mongodb);
  // Makes every operation count as slow, so that it is logged.
  await admin.db('silo_org').command({ profile: 0, slowms: -1 });
  const story = await runStory(clients);
  ada = story.ada;
  const people = [story.ada, story.bob];
  secrets = people.flatMap(({ account, apiKey, projectToken }) => [
    ...[account.email, apiKey, projectToken],
  ]);
});

test.after.always(async () => {
  clients?.close();
  await admin?.close();
  await silo?.stop();
  await rm(join(directory, '..'), { recursive: true, force: true });
});

test.serial('the services have every right that they need', async (t) => {
  t.deepEqual(await refusals(), []);
  await invariantsHold(t, {
    ...clients,
    mongo: admin,
    databasePrefix: 'silo',
    natsUrl: silo.natsServer?.urlOf('admin') ?? '',
    natsStream: 'SILO',
    natsSubjectPrefix: 'silo.v1',
  });
});

test.serial('every service serves its metrics at the address in the endpoints', async (t) => {
  for (const name of serviceNames) {
    const metrics = await fetch(`http://${silo.endpoints.services[name].metrics}/metrics`);
    t.regex(await metrics.text(), new RegExp(`^silo_mongodb_up{service="${name}",`, 'm'));
  }
});

test.serial('org’s user cannot read token’s database', async (t) => {
  const url = silo.mongod?.urlOf('org') ?? '';
  await using org = new MongoClient(url);
  t.truthy(await org.db('silo_org').collection('accounts').findOne({}));
  t.truthy(await admin.db('silo_token').collection('project_tokens').findOne({}));
  for (const name of ['token', 'project', 'billing']) {
    const found = org
      .db(`silo_${name}`)
      .collection('project_tokens')
      .findOne({ token: ada.projectToken });
    await t.throwsAsync(found, { code: 13 });
  }
});

test.serial('the subscriber, whose URL is published, cannot forge a revocation', async (t) => {
  const connection = await connectToNats({ url: silo.endpoints.nats });
  t.teardown(() => connection.close());
  const manager = await managerOf(connection);
  const before = await manager.streams.info('SILO');
  const refused = Promise.withResolvers<unknown>();
  const watch = async () => {
    for await (const status of connection.status()) refused.resolve(status.permissionContext);
  };
  watch().catch(refused.reject);
  const subject = `silo.v1.token.revoked.${ada.projectId}`;
  connection.publish(subject, '{}');
  t.like(await refused.promise, { operation: 'publish', subject });
  t.is((await manager.streams.info('SILO')).state.last_seq, before.state.last_seq);
});

test.serial('no log holds a token, a key or an e-mail address', async (t) => {
  const { email } = ada.account;
  // Further operations that mongod logs: a failed query, and a refused one, each with its command.
  const accounts = admin.db('silo_org').collection('accounts');
  const failing: Filter<object> = { email, $where: 'throw new Error("refused")' };
  await t.throwsAsync(accounts.findOne(failing), { code: 139 });
  await t.throwsAsync(accounts.findOneAndUpdate(failing, { $set: { email } }), { code: 139 });
  // The owner process writes mongod's log, a moment after mongod.
  const text = await eventually(async () => {
    const logs = await logsOf(['mongod', 'nats-server', ...serviceNames]);
    for (const line of [
      /"msg":"Slow query".*"ns":"silo_token\.project_tokens"/,
      /Plan executor error during find command/,
      /Plan executor error during findAndModify/,
    ]) {
      if (!line.test(logs)) throw new Error(`no line matches ${line}`);
    }
    return logs;
  });
  for (const secret of secrets) t.false(text.includes(secret), secret);
  t.notRegex(text, /@example\.com/);
});

test.serial('stored files can be read only by their owner', async (t) => {
  t.is((await stat(directory)).mode & 0o777, 0o700);
  const open: string[] = [];
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const found = await stat(path).catch(() => undefined);
    // Certificates are not secret, and some files are temporary.
    if (found === undefined || path.endsWith('.pem') || !entry.isFile()) continue;
    if ((found.mode & 0o077) !== 0 && /passwords|logs|\.log|key|conf/.test(path)) {
      open.push(relative(directory, path));
    }
  }
  t.deepEqual(open, []);
});

test.serial('a second start logs no refused login either', async (t) => {
  await silo.stop();
  silo = await start();
  t.deepEqual(await refusals(), []);
});

function start(): Promise<Silo> {
  const { MONGODB_URL, NATS_URL, ...environment } = process.env;
  return startSilo({ directory, environment, freePorts: true, log: () => {} });
}

/** The lines of the services' logs that show a login or an operation that a server refused. */
async function refusals(): Promise<string[]> {
  const refusal =
    /NATS denied a permission|not authorized|PERMISSIONS_VIOLATION|Authentication failed/;
  return (await logsOf(serviceNames)).split('\n').filter((line) => refusal.test(line));
}

async function logsOf(names: readonly string[]): Promise<string> {
  const texts: string[] = [];
  for (const entry of await readdir(directory, { recursive: true })) {
    if (!names.some((name) => entry.endsWith(`${name}.log`))) continue;
    texts.push(await readFile(join(directory, entry), 'utf8'));
  }
  if (texts.length < names.length) throw new Error(`${texts.length} of ${names.length} logs`);
  return texts.join('\n');
}
