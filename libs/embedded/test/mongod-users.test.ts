import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { serviceNames } from '@silo/service/config.ts';
import test, { type ExecutionContext } from 'ava';
import { type Document, MongoClient } from 'mongodb';
import { startMongod } from '../mongod.ts';
import type { MongodbUser } from '../mongod-users.ts';
import { obtain } from '../obtain.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const unauthorized = 13;

async function prepare(t: ExecutionContext) {
  const { path: binary } = await obtain('mongod', { log: (line) => t.log(line) });
  return { binary, directory: await temporaryDirectory(t) };
}

async function asUser<T>(url: string, work: (client: MongoClient) => Promise<T>): Promise<T> {
  await using client = new MongoClient(url, { serverSelectionTimeoutMS: 120_000 });
  return await work(client);
}

test('a service’s user can access only its own database', async (t) => {
  await using mongod = await startMongod(await prepare(t));
  for (const name of serviceNames) {
    const other = name === 'token' ? 'org' : 'token';
    await asUser(mongod.urlOf(name), async (client) => {
      const own = client.db(`silo_${name}`).collection('things');
      await own.createIndex({ at: 1 });
      await own.insertOne({ at: 1 });
      t.is(await own.countDocuments(), 1);
      const foreign = client.db(`silo_${other}`).collection('tokens');
      await t.throwsAsync(foreign.findOne({}), { code: unauthorized });
      await t.throwsAsync(foreign.insertOne({}), { code: unauthorized });
      await t.throwsAsync(own.aggregate([{ $out: { db: `silo_${other}`, coll: 'x' } }]).toArray(), {
        code: unauthorized,
      });
      await t.throwsAsync(client.db('admin').collection('system.users').findOne({}), {
        code: unauthorized,
      });
    });
  }
});

test('a service’s user has the other rights that the services need', async (t) => {
  await using mongod = await startMongod(await prepare(t));
  await asUser(mongod.urlOf('org'), async (client) => {
    const things = client.db('silo_org').collection('things');
    await things.insertOne({});
    const stream = things.watch([], { maxAwaitTimeMS: 100 });
    t.is(await stream.tryNext(), null);
    await stream.close();
    const admin = client.db('admin');
    await admin.aggregate([{ $currentOp: { allUsers: false, idleSessions: true } }]).toArray();
    const session = client.startSession();
    const found = await client.withSession((own) =>
      own.withTransaction(() => things.findOne({}, { session: own })),
    );
    t.truthy(found);
    await admin.command({ killSessions: [session.id ?? {}] });
    await session.endSession();
  });
});

test('a client without a password or with a wrong one is rejected', async (t) => {
  await using mongod = await startMongod(await prepare(t));
  const read = (url: string) =>
    asUser(url, (client) => client.db('silo_org').collection('things').findOne({}));
  await t.throwsAsync(read(mongod.url.replace(/\/\/.*@/, '//')), { code: unauthorized });
  await t.throwsAsync(read(mongod.urlOf('org').replace(/:[^:@]*@/, ':wrong@')), { code: 18 });
});

test('passwords are stored only in private files, and survive a restart', async (t) => {
  const place = await prepare(t);
  const users: readonly MongodbUser[] = ['admin', ...serviceNames];
  const first = await startMongod(place);
  const urls = users.map((user) => first.urlOf(user));
  t.is(new Set(urls.map((url) => new URL(url).password)).size, users.length);
  const commandLine = await readFile(`/proc/${first.pid}/cmdline`, 'utf8').catch(() => '');
  await first.stop();
  await using second = await startMongod({ ...place, port: first.port });
  t.deepEqual(
    users.map((user) => second.urlOf(user)),
    urls,
  );
  const log = await readFile(join(place.directory, 'mongod.log'), 'utf8');
  for (const url of urls) t.false(`${log}${commandLine}`.includes(new URL(url).password));
  const files = (await readdir(join(place.directory, 'passwords'))).map((file) =>
    join(place.directory, 'passwords', file),
  );
  for (const file of [...files, join(place.directory, 'key-file')]) {
    t.is((await stat(file)).mode & 0o777, 0o600, file);
  }
});

test('data of a release without users are kept and get users, even on another port', async (t) => {
  const place = await prepare(t);
  const { directory, binary } = place;
  await makeDataWithoutUsers(directory, binary);
  await writeFile(join(directory, 'mongod.log'), 'a token of an earlier release');
  const lines: string[] = [];
  await using mongod = await startMongod({ ...place, log: (line) => lines.push(line) });
  t.true(
    lines.some((line) => /release without users: keeping its data and adding users/.test(line)),
  );
  const find = async (client: MongoClient) => {
    const found = await client.db('silo_org').collection('things').findOne({});
    t.true(found?.kept);
  };
  await asUser(mongod.urlOf('org'), find);
  await t.throwsAsync(asUser(mongod.url.replace(/\/\/.*@/, '//'), find), { code: unauthorized });
  t.notRegex(await readFile(join(directory, 'mongod.log'), 'utf8'), /earlier release/);
});

test('a first start that ended before it stored the administrator’s password is completed later', async (t) => {
  const place = await prepare(t);
  const first = await startMongod(place);
  await asUser(first.urlOf('org'), (client) =>
    client.db('silo_org').collection('things').insertOne({}),
  );
  await first.stop();
  await rm(join(place.directory, 'passwords', 'admin'));
  await using second = await startMongod(place);
  await asUser(second.urlOf('org'), async (client) => {
    t.is(await client.db('silo_org').collection('things').countDocuments(), 1);
  });
});

/**
 * Creates data like those of the last release: a set of one member on some port, without logins.
 */
async function makeDataWithoutUsers(directory: string, binary: string): Promise<void> {
  const begun = await startMongod({ binary, directory });
  await asUser(begun.url, async (client) => {
    await client.db('silo_org').collection<Document>('things').insertOne({ kept: true });
    const users = client.db('admin').collection('system.users');
    await users.deleteMany({});
  });
  await begun.stop();
  await rm(join(directory, 'passwords'), { recursive: true });
  await rm(join(directory, 'key-file'));
}
