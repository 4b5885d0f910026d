import { prepare, testDatabase } from '@silo/mongo/test/support.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import { fakeClock } from '@silo/runtime/test/fake-clock.ts';
import test, { type ExecutionContext } from 'ava';
import { MessageKeeper } from '../registry/message-keys.ts';
import { createMessageKeyStore } from '../store/message-keys.ts';
import { storeMigrations } from '../store/set-up.ts';

const minuteMs = 60_000;
const rotation = { rotateMs: 60 * minuteMs, signAfterMs: minuteMs, refreshMs: 10_000 };
const { signal } = new AbortController();

/** Replicas over one store, in which the test can make keys older. */
async function open(t: ExecutionContext) {
  const { db } = await (await testDatabase(t)).connect();
  await prepare(db, storeMigrations);
  const store = createMessageKeyStore(db, signal);
  const log = silentLogger();
  const age = async (byMs: number) => {
    await db
      .collection('broadcast_keys')
      .updateMany({}, [{ $set: { createTime: { $subtract: ['$createTime', byMs] } } }]);
  };
  /** A replica that starts now and reads its keys. */
  const replica = (clock = fakeClock()) => new MessageKeeper({ store, log, rotation, clock });
  const handedOut = async () => (await replica().keysOf('lease')).broadcastKeys;
  return { store, age, replica, handedOut };
}

test('every replica distributes the same keys, and each lease has its own secret', async (t) => {
  const { replica } = await open(t);
  const [here, there] = [replica(), replica()];
  const [one, again] = await Promise.all([here.keysOf('one'), there.keysOf('one')]);
  t.deepEqual(one.acknowledgementSecret, again.acknowledgementSecret);
  t.deepEqual(
    one.broadcastKeys.map(({ id, secret, isSigning }) => ({ id, secret, isSigning })),
    again.broadcastKeys.map(({ id, secret, isSigning }) => ({ id, secret, isSigning })),
  );
  const other = await here.keysOf('other');
  t.notDeepEqual(other.acknowledgementSecret, one.acknowledgementSecret);
  t.is(one.acknowledgementSecret.length, 32);
  t.true(there.secretOf('one')?.export().equals(one.acknowledgementSecret));
});

test('a new key is distributed before anybody signs with it, and the previous key long after', async (t) => {
  const { age, handedOut } = await open(t);
  const [first] = await handedOut();
  t.true(first?.isSigning, 'the only key signs at once');
  await age(rotation.rotateMs);
  const rotated = await handedOut();
  t.deepEqual(
    rotated.map(({ id, isSigning }) => [id === first?.id, isSigning]),
    [
      [false, false],
      [true, true],
    ],
  );
  await age(rotation.signAfterMs);
  const [second, stillFirst] = await handedOut();
  t.deepEqual([second?.isSigning, stillFirst?.isSigning], [true, false]);
  t.true((stillFirst?.validFor?.seconds ?? 0) > rotation.rotateMs / 1_000 - 60);
});

test('an expired key is not distributed, and no response promises a longer validity', async (t) => {
  const { age, handedOut, replica } = await open(t);
  const lifeMs = 2 * (rotation.rotateMs + rotation.signAfterMs);
  const clock = fakeClock();
  const keeper = replica(clock);
  await keeper.keysOf('lease');
  clock.advance(5_000);
  const [first] = (await keeper.keysOf('lease')).broadcastKeys;
  t.true((first?.validFor?.seconds ?? 0) <= (lifeMs - 5_000) / 1_000);
  await age(rotation.rotateMs);
  await handedOut();
  await age(lifeMs - rotation.rotateMs);
  const left = await handedOut();
  t.false(left.some(({ id }) => id === first?.id));
  t.is(left.filter(({ isSigning }) => isSigning).length, 1);
});

test('after a long time without a registry, a new key signs at once', async (t) => {
  const { age, handedOut } = await open(t);
  const [old] = await handedOut();
  await age(10 * rotation.rotateMs);
  const [only, ...others] = await handedOut();
  t.deepEqual([only?.isSigning, others.length], [true, 0]);
  t.not(only?.id, old?.id);
});

test('two replicas that rotate concurrently create one key', async (t) => {
  const { store } = await open(t);
  await Promise.all([store.create(1), store.create(1), store.create(1)]);
  t.is((await store.list()).length, 1);
});
