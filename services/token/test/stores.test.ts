import { randomUUID } from 'node:crypto';
import type { Transaction } from '@silo/log/event-log.ts';
import { mutation, testEventLog } from '@silo/log/test/support.ts';
import { prepare } from '@silo/mongo/test/support.ts';
import { fakeClock } from '@silo/runtime/test/fake-clock.ts';
import { newId } from '@silo/tokens/ids.ts';
import test, { type ExecutionContext } from 'ava';
import { BSON, MongoClient } from 'mongodb';
import { required } from '../../../test/harness/environment.ts';
import { eventually } from '../../../test/harness/eventually.ts';
import type { KeyDocument } from '../store/documents.ts';
import { createEndedKeyStore } from '../store/ended-keys.ts';
import { createKeyStore } from '../store/keys.ts';
import { LastUse } from '../store/last-use.ts';
import { createProjectTokenStore } from '../store/project-tokens.ts';
import { storeMigrations } from '../store/set-up.ts';
import { keyDocument, now, secretNamed } from './support.ts';

async function open(t: ExecutionContext) {
  const { connection, eventLog } = await testEventLog(t, 'token');
  const { db } = connection;
  await prepare(db, storeMigrations);
  await prepare(db, storeMigrations);
  const decide = async <T>(body: (tx: Transaction) => Promise<T>) =>
    (await eventLog.decide(mutation(), (tx) => body(tx))).value;
  const { signal } = new AbortController();
  return {
    ...{ db, decide, signal, keys: createKeyStore(db), endedKeys: createEndedKeyStore(db) },
    projectTokens: createProjectTokenStore(db),
  };
}

const mine = keyDocument({ accountId: 'acc_1', name: 'mine' });
const theirs = keyDocument({ accountId: 'acc_2', name: 'theirs' });

test('a key is found, listed, saved and removed only for its own account', async (t) => {
  const { keys, decide, signal } = await open(t);
  await decide((tx) => keys.insert(tx, mine));
  await decide((tx) => keys.insert(tx, theirs));
  t.like(await keys.find('acc_1', mine._id, signal), { name: 'mine' });
  t.is(await keys.find('acc_1', theirs._id, signal), undefined);
  t.is(await decide((tx) => keys.findIn(tx, 'acc_1', theirs._id)), undefined);
  const [{ hash }] = theirs.secrets;
  t.is(await decide((tx) => keys.findFactIn(tx, 'acc_1', hash)), undefined);
  const listed = await keys.listOfAccount('acc_1', { size: 10 }, signal);
  t.deepEqual(
    listed.items.map(({ name }) => name),
    ['mine'],
  );
  const none = await keys.listOfAccount('acc_1', { only: theirs._id, size: 10 }, signal);
  t.deepEqual(none.items, []);
  await decide((tx) => keys.remove(tx, 'acc_1', theirs._id));
  await decide((tx) => keys.save(tx, { ...mine, name: 'renamed' }));
  t.like(await keys.find('acc_2', theirs._id, signal), { name: 'theirs' });
  t.like(await keys.readFact(hash, signal), { keyId: theirs._id, accountId: 'acc_2' });
  t.like(await keys.find('acc_1', mine._id, signal), { name: 'renamed' });
});

test('live keys are returned in batches that fit into one message', async (t) => {
  const { db, keys, signal } = await open(t);
  const projectIds = Array.from({ length: 100 }, () => newId('prj'));
  const all = Array.from({ length: 400 }, () => keyDocument({ accountId: 'acc_1', projectIds }));
  await db.collection<KeyDocument>('api_keys').insertMany(all, { writeConcern: { w: 'majority' } });
  const batches: number[] = [];
  const found = new Set<string>();
  for await (const batch of keys.liveOfAccounts(['acc_1'], now, signal)) {
    batches.push(BSON.calculateObjectSize(batch));
    for (const { _id } of batch) found.add(_id);
  }
  t.true(batches.length > 1 && batches.every((size) => size <= 1.01 * 1024 * 1024), `${batches}`);
  t.is(found.size, 400);
});

test('keys are listed by id, page after page', async (t) => {
  const { keys, decide, signal } = await open(t);
  const ids = ['a', 'b', 'c'].map((letter) => `key_${letter}`);
  for (const _id of [...ids].reverse()) {
    await decide((tx) => keys.insert(tx, keyDocument({ _id })));
  }
  const list = async (page: Parameters<typeof keys.listOfAccount>[1]) =>
    (await keys.listOfAccount('acc_1', page, signal)).items.map(({ _id }) => _id);
  t.deepEqual(await list({ size: 2 }), ['key_a', 'key_b']);
  t.deepEqual(await list({ size: 2, after: 'key_b' }), ['key_c']);
  t.deepEqual(await list({ size: 2, only: 'key_b' }), ['key_b']);
});

test('a secret’s fact changes with its key, in the same commit', async (t) => {
  const { keys, decide, signal } = await open(t);
  const [old] = mine.secrets;
  const fresh = secretNamed('fresh');
  const overlapEnd = new Date(now.getTime() + 1_000);
  await decide((tx) => keys.insert(tx, mine));
  const rolled = keyDocument({
    ...{ ...mine, scopes: ['key:read'], disabled: true },
    secrets: [fresh, { ...old, expireTime: overlapEnd }],
  });
  await decide((tx) => keys.save(tx, rolled));
  const fact = { keyId: mine._id, accountId: 'acc_1', scopes: ['key:read'], disabled: true };
  t.like(await keys.readFact(fresh.hash, signal), { ...fact, expireTime: undefined });
  t.like(await keys.readFact(old.hash, signal), { ...fact, expireTime: overlapEnd });
  await decide((tx) => keys.save(tx, { ...rolled, secrets: [fresh] }));
  t.is(await keys.readFact(old.hash, signal), undefined);
  await decide((tx) => keys.remove(tx, 'acc_1', mine._id));
  t.is(await keys.readFact(fresh.hash, signal), undefined);
});

test('changes of the keys of one account happen one after another', async (t) => {
  const { keys, decide } = await open(t);
  await decide((tx) => keys.insert(tx, theirs));
  const counted = await Promise.all(
    Array.from({ length: 5 }, () =>
      decide(async (tx) => {
        await keys.lockAccount(tx, 'acc_1');
        await keys.insert(tx, keyDocument());
        return (await keys.listExpiries(tx, 'acc_1')).length;
      }),
    ),
  );
  t.deepEqual(counted.sort(), [1, 2, 3, 4, 5]);
});

test('a project has one live token, and another project keeps its own', async (t) => {
  const { projectTokens, decide, signal } = await open(t);
  const state = (projectId: string, name: string, revision: number) => {
    const { hash, fingerprint } = secretNamed(name);
    return {
      _id: projectId,
      current: { hash, token: name, fingerprint, createTime: now },
      revision,
    };
  };
  const fact = (name: string) => projectTokens.readFact(secretNamed(name).hash, signal);
  await decide((tx) => projectTokens.save(tx, state('prj_1', 'one', 1), undefined));
  await decide((tx) => projectTokens.insert(tx, state('prj_2', 'two', 1)));
  await decide((tx) =>
    projectTokens.save(tx, state('prj_1', 'new one', 3), state('prj_1', 'one', 1)),
  );
  t.is(await fact('one'), undefined);
  t.like(await projectTokens.readNow('prj_1', signal), { revision: 3 });
  t.deepEqual(await fact('new one'), { projectId: 'prj_1' });
  t.deepEqual(await fact('two'), { projectId: 'prj_2' });
  t.like(await projectTokens.find('prj_2', signal), { current: { token: 'two' } });
  t.is(await projectTokens.find('prj_3', signal), undefined);
  await decide((tx) =>
    projectTokens.save(tx, { _id: 'prj_1', revision: 4 }, state('prj_1', 'new one', 3)),
  );
  t.is(await fact('new one'), undefined);
  t.deepEqual(await decide((tx) => projectTokens.findIn(tx, 'prj_1')), {
    ...{ _id: 'prj_1', revision: 4 },
  });
});

test('live and revoked tokens are resolved to their project, the last 100 of each project', async (t) => {
  const { projectTokens, decide, signal } = await open(t);
  const state = (name: string) => {
    const { hash, fingerprint } = secretNamed(name);
    return {
      _id: 'prj_1',
      current: { hash, token: name, fingerprint, createTime: now },
      revision: 1,
    };
  };
  await decide((tx) => projectTokens.insert(tx, state('token 0')));
  for (let index = 1; index <= 102; index++) {
    const [before, after] = [state(`token ${index - 1}`), state(`token ${index}`)];
    await decide((tx) => projectTokens.save(tx, after, before));
  }
  const hashes = Array.from({ length: 104 }, (_, index) => secretNamed(`token ${index}`).hash);
  const found = await projectTokens.projectsOf(hashes, signal);
  t.deepEqual(
    found.map(({ _id }) => _id.toString('hex')).sort(),
    hashes
      .slice(2, 103)
      .map((hash) => hash.toString('hex'))
      .sort(),
  );
  t.true(found.every(({ projectId }) => projectId === 'prj_1'));
});

test('a key that ended itself is known for a day, and is found only by its own secret', async (t) => {
  const { endedKeys, decide, signal } = await open(t);
  const { hash } = secretNamed('dead');
  const owner = { accountId: 'acc_1', keyId: 'key_1', requestKey: Buffer.alloc(32, 1) };
  await decide((tx) => endedKeys.insert(tx, hash, owner, now));
  await decide((tx) => endedKeys.insert(tx, hash, owner, now));
  const dayMs = 24 * 60 * 60 * 1000;
  t.deepEqual(await endedKeys.find(hash, new Date(now.getTime() + dayMs - 1), signal), owner);
  t.is(await endedKeys.find(hash, new Date(now.getTime() + dayMs), signal), undefined);
  t.is(await endedKeys.find(secretNamed('other').hash, now, signal), undefined);
  await decide((tx) => endedKeys.remove(tx, [hash]));
  t.is(await endedKeys.find(hash, now, signal), undefined);
});

test('the use of a key is recorded at most once a minute, and only for its own account', async (t) => {
  const { keys, decide, signal } = await open(t);
  const clock = fakeClock(now);
  await decide((tx) => keys.insert(tx, mine));
  await decide((tx) => keys.insert(tx, theirs));
  const lastUse = async (accountId: string, keyId: string) =>
    (await keys.find(accountId, keyId, signal))?.lastUseTime;
  const usedAt = (expected: Date) =>
    eventually(async () => {
      const time = await lastUse('acc_1', mine._id);
      if (time?.getTime() !== expected.getTime()) throw new Error(`last use: ${time}`);
    });
  const used = { accountId: 'acc_1', keyId: mine._id };
  const uses = new LastUse(keys, clock);
  uses.note([used, { accountId: 'acc_1', keyId: theirs._id }]);
  await usedAt(now);
  clock.advance(59_000);
  uses.note([used]);
  // Another process does not know of the first use, but finds it recorded.
  new LastUse(keys, clock).note([used]);
  clock.advance(1_000);
  const aMinuteLater = clock.now();
  uses.note([used]);
  await usedAt(aMinuteLater);
  t.is(await lastUse('acc_2', theirs._id), undefined);
});

/** A database, with the number of updates of each command to it. */
function watchUpdates(t: ExecutionContext) {
  const client = new MongoClient(required('MONGODB_URL'), { monitorCommands: true });
  const db = client.db(`uses_${randomUUID().slice(0, 8)}`);
  t.teardown(async () => {
    await db.dropDatabase();
    await client.close();
  });
  const updates: number[] = [];
  client.on('commandStarted', ({ commandName, command }) => {
    if (commandName === 'update') updates.push(command.updates.length);
  });
  return { db, updates };
}

test('uses that arrive during a write share the next one, which has at most 10,000', async (t) => {
  const { db, updates } = watchUpdates(t);
  const used = Array.from({ length: 10_002 }, (_, index) => ({
    ...{ accountId: mine.accountId, keyId: `key_${index}` },
  }));
  const uses = new LastUse(createKeyStore(db), fakeClock());
  uses.note(used.slice(0, 1));
  uses.note(used.slice(1, 5_000));
  uses.note(used.slice(5_000));
  await eventually(() => {
    if (updates.length < 2) throw new Error('not written again');
  });
  t.deepEqual(updates, [1, 10_000]);
});

test('the use of many keys is recorded by one command', async (t) => {
  const { db, updates } = watchUpdates(t);
  const keyIds = Array.from({ length: 1_000 }, (_, index) => `key_${index}`);
  const keys = db.collection<KeyDocument>('api_keys');
  await keys.insertMany(keyIds.map((_id) => ({ ...mine, _id })));
  const used = keyIds.map((keyId) => ({ accountId: mine.accountId, keyId }));
  await createKeyStore(db).noteUses(used, now, new Date(now.getTime() - 60_000));
  t.deepEqual(updates, [1_000]);
  t.is(await keys.countDocuments({ lastUseTime: now }), 1_000);
});
