import assert from 'node:assert/strict';
import { createPrivateKey, randomUUID, X509Certificate } from 'node:crypto';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type MadeCertificate, makeAuthority, makeLeaf } from '@silo/embedded/make-certificate.ts';
import { createLogger } from '@silo/runtime/log.ts';
import test from 'ava';
import { required } from '../../../test/harness/environment.ts';
import { eventually, untilAnswered } from '../../../test/harness/eventually.ts';
import { connectMongo, type MongoConnection } from '../connect.ts';
import { readLinearizable } from '../linearizable.ts';
import { transact } from '../transaction-retry.ts';
import { testDatabase } from './support.ts';
import { startTlsMongod, TlsSide } from './tls-mongod.ts';

test('the user and password of MongoDB are replaced under load: no call fails', async (t) => {
  const { name: database, connect } = await testDatabase(t);
  const admin = (await connect()).client.db('admin');
  const directory = await mkdtemp(join(tmpdir(), 'silo-mongo-'));
  t.teardown(() => rm(directory, { recursive: true }));
  const urlFile = join(directory, 'url');
  const users = ['first', 'second'].map((name) => ({
    user: `${name}-${database}`,
    pwd: randomUUID(),
  }));
  const [first, second] = users;
  if (first === undefined || second === undefined) return t.fail();
  for (const { user, pwd } of users) {
    await admin.command({ createUser: user, pwd, roles: [{ role: 'readWrite', db: database }] });
  }
  t.teardown(() => admin.command({ dropUser: second.user }));
  const write = async ({ user, pwd }: { user: string; pwd: string }) => {
    const url = new URL(required('MONGODB_URL'));
    Object.assign(url, { username: user, password: pwd });
    await writeFile(`${urlFile}.new`, `${url.href}\n`);
    await rename(`${urlFile}.new`, urlFile);
  };
  await write(first);
  const lines: string[] = [];
  const destination = { write: (line: string) => lines.push(line) };
  const log = createLogger({ service: 'test', region: 'us', level: 'info', destination });
  const located = { urlFile, database, appName: 'rotation', log, intervalMs: 20 };
  await using connection = await untilAnswered(() => connectMongo(located));
  const { client, db } = connection;
  const userNow = async () => {
    const { authInfo } = await db.command({ connectionStatus: 1 });
    return authInfo.authenticatedUsers[0]?.user;
  };
  const { things, moreCalls, end } = await beginLoad(connection);
  const rotation = async () => {
    await moreCalls();
    t.is(await userNow(), first.user);

    // The administrator has not set that password yet, so the former user stays in use.
    await write({ user: second.user, pwd: 'not yet' });
    await eventually(() => assert.match(lines.join(''), /cannot be used/));
    await moreCalls();
    t.is(await userNow(), first.user);
    // A transaction that the former user began also ends as that user. The server allows it 10 s.
    const slow = client.startSession();
    slow.startTransaction();
    await things.findOne({ _id: 'thing' }, { session: slow });
    await write(second);
    await eventually(async () => assert.equal(await userNow(), second.user));
    await things.insertOne({ _id: 'late', count: 0 }, { session: slow });
    await slow.commitTransaction();
    await slow.endSession();
    await moreCalls();
    await admin.command({ dropUser: first.user });
    await moreCalls();
  };
  await rotation().finally(end);
  const calls = await end();
  t.is((await things.findOne({ _id: 'thing' }))?.count, calls);
  t.is((await things.findOne({ _id: 'late' }))?.count, 0);
  t.is(lines.filter((line) => line.includes('cannot be used')).length, 1);
  t.false(users.some(({ pwd }) => lines.join('').includes(pwd)));
});

test('the CA and the certificates of MongoDB are replaced under load: no call fails', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'silo-mongo-tls-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const [former, next] = await Promise.all(['former', 'next'].map(newRoot));
  if (former === undefined || next === undefined) return t.fail();
  const both = `${former.certificate}\n${next.certificate}`;
  const sideOf = async (name: string) =>
    TlsSide.make(join(directory, name), former.certificate, await newIdentity(former, name));
  const [server, client] = [await sideOf('server'), await sideOf('client')];
  const { url, rotate } = await startTlsMongod(t, directory, { server, client });
  const lines: string[] = [];
  const destination = { write: (line: string) => lines.push(line) };
  const log = createLogger({ service: 'test', region: 'us', level: 'info', destination });
  const options = { url, database: 'rotation', appName: 'rotation', intervalMs: 20 };
  await using connection = await untilAnswered(() => connectMongo({ ...options, log }));
  const { things, moreCalls, end } = await beginLoad(connection);
  const replaced = (times: number) =>
    eventually(() => assert.equal(lines.filter((each) => each.includes('in use')).length, times));
  const rotation = async () => {
    await moreCalls();
    for (const side of [server, client]) await side.writeRoots(both);
    await rotate();
    await replaced(1);
    await moreCalls();
    await server.writeIdentity(await newIdentity(next, 'server'));
    await rotate();
    await client.writeIdentity(await newIdentity(next, 'client'));
    await replaced(2);
    await moreCalls();
    for (const side of [server, client]) await side.writeRoots(next.certificate);
    await rotate();
    await replaced(3);
    await moreCalls();
    // An incomplete file changes nothing.
    await client.writeRoots(both.slice(0, 300));
    await eventually(() => assert.match(lines.join(''), /cannot be used/));
    await moreCalls();
  };
  await rotation().finally(end);
  const calls = await end();
  t.is((await things.findOne({ _id: 'thing' }))?.count, calls);

  const connectAs = async (name: string, roots: MadeCertificate, root: MadeCertificate) => {
    const identity = await newIdentity(root, name);
    const side = await TlsSide.make(join(directory, name), roots.certificate, identity);
    const late = url.replace(client.ca, side.ca).replace(client.identity, side.identity);
    return await connectMongo({ ...options, url: late });
  };
  await using _late = await untilAnswered(() => connectAs(randomUUID(), next, next));
  const refused = { message: /No response in time/ };
  await t.throwsAsync(connectAs('trusts-the-former', former, next), refused);
  await t.throwsAsync(connectAs('is-of-the-former', next, former), refused);
});

/**
 * Makes calls without pause on objects that stores keep: a collection, and sessions of its client.
 */
async function beginLoad({ client, db }: MongoConnection) {
  const things = db.collection<{ _id: string; count: number }>('things');
  await things.insertOne({ _id: 'thing', count: 0 });
  let calls = 0;
  const over = new AbortController();
  const load = Promise.all(
    Array.from({ length: 4 }, async () => {
      while (!over.signal.aborted) {
        await transact(client, { signal: AbortSignal.timeout(600_000) }, async (session) => {
          await things.findOne({ _id: 'thing' }, { session });
          await things.updateOne({ _id: 'thing' }, { $inc: { count: 1 } }, { session });
        });
        calls++;
        await readLinearizable(things, { _id: 'thing' });
      }
    }),
  );
  load.catch(() => {}); // `end` rejects with it
  const moreCalls = async () => {
    const before = calls;
    await eventually(() => assert.ok(calls > before + 20, `${calls} calls`));
  };
  /** Returns the number of calls; rejects if one failed. */
  const end = async () => {
    over.abort();
    await load;
    return calls;
  };
  return { things, moreCalls, end };
}

const validity = {
  notBefore: new Date(Date.now() - 60_000),
  notAfter: new Date(Date.now() + 86_400_000),
};

function newRoot(name: string): Promise<MadeCertificate> {
  return makeAuthority(`CN=${name}`, validity);
}

function newIdentity(root: MadeCertificate, name: string): Promise<MadeCertificate> {
  const authority = {
    certificate: new X509Certificate(root.certificate).raw,
    privateKey: createPrivateKey(root.key),
  };
  const uri = `spiffe://silo.internal/us/server/${name}`;
  return makeLeaf(authority, { name, uri, hosts: ['localhost', '127.0.0.1'] }, validity);
}
