import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@silo/runtime/log.ts';
import test from 'ava';
import { required } from '../../../test/harness/environment.ts';
import { eventually } from '../../../test/harness/eventually.ts';
import { connectMongo } from '../connect.ts';
import { readLinearizable } from '../linearizable.ts';
import { transact } from '../transaction-retry.ts';
import { testDatabase } from './support.ts';

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
  await using connection = await connectMongo({
    ...{ urlFile, database, appName: 'rotation', log, intervalMs: 20 },
  });
  const { client, db } = connection;
  const userNow = async () => {
    const { authInfo } = await db.command({ connectionStatus: 1 });
    return authInfo.authenticatedUsers[0]?.user;
  };
  // As stores do: a collection that is kept, and sessions of its client.
  const things = db.collection<{ _id: string; count: number }>('things');
  await things.insertOne({ _id: 'thing', count: 0 });

  let calls = 0;
  const over = new AbortController();
  const calling = Array.from({ length: 4 }, async () => {
    while (!over.signal.aborted) {
      await transact(client, { signal: AbortSignal.timeout(60_000) }, async (session) => {
        await things.findOne({ _id: 'thing' }, { session });
        await things.updateOne({ _id: 'thing' }, { $inc: { count: 1 } }, { session });
      });
      calls++;
      await readLinearizable(things, { _id: 'thing' });
    }
  });
  const moreCalls = async () => {
    const before = calls;
    await eventually(() => assert.ok(calls > before + 20, `${calls} calls`));
  };
  const load = Promise.all(calling);
  const rotation = async () => {
    await moreCalls();
    t.is(await userNow(), first.user);
    const slow = client.startSession();
    slow.startTransaction();
    await things.findOne({ _id: 'thing' }, { session: slow });

    // The administrator has not set that password yet: the former user goes on.
    await write({ user: second.user, pwd: 'not yet' });
    await eventually(() => assert.match(lines.join(''), /cannot be used/));
    await moreCalls();
    t.is(await userNow(), first.user);
    await write(second);
    await eventually(async () => assert.equal(await userNow(), second.user));
    await moreCalls();

    // A transaction that the former user began ends with it.
    await things.insertOne({ _id: 'late', count: 0 }, { session: slow });
    await slow.commitTransaction();
    await slow.endSession();
    await admin.command({ dropUser: first.user });
    await moreCalls();
  };
  await rotation().finally(() => over.abort());
  await load;
  t.is((await things.findOne({ _id: 'thing' }))?.count, calls);
  t.is((await things.findOne({ _id: 'late' }))?.count, 0);
  t.is(lines.filter((line) => line.includes('cannot be used')).length, 1);
  t.false(users.some(({ pwd }) => lines.join('').includes(pwd)));
});
