/** Two concurrent replicas of the registry, over real MongoDB and NATS. */
import { randomBytes, randomUUID } from 'node:crypto';
import { publishAcknowledgement } from '@silo/events/acknowledgements.ts';
import { type MessageKey, messageKey } from '@silo/events/authentication.ts';
import { connectNats } from '@silo/events/connect.ts';
import type { Positions } from '@silo/guard/core/position.ts';
import { toLogPositions } from '@silo/guard/wire.ts';
import { prepare, testDatabase } from '@silo/mongo/test/support.ts';
import { systemClock } from '@silo/runtime/clock.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import test, { type ExecutionContext } from 'ava';
import { ulid } from 'ulid';
import { required } from '../../../test/harness/environment.ts';
import { eventually } from '../../../test/harness/eventually.ts';
import { MessageKeeper } from '../registry/message-keys.ts';
import { openRegistry } from '../registry/registry-replica.ts';
import { createKeyStore } from '../store/keys.ts';
import { LastUse } from '../store/last-use.ts';
import { createLeaseStore, type LeaseStore } from '../store/leases.ts';
import { createMessageKeyStore } from '../store/message-keys.ts';
import { storeMigrations } from '../store/set-up.ts';

const leaseMs = 2_000;
const settings = { leaseMs, renewMs: 600, driftShare: 0.01, relistMs: 250, sweepMs: 500 };
/** Leases that do not expire in a test, even on a slow machine. */
const long = { ...settings, leaseMs: 60_000, renewMs: 20_000 };
/** Leases for whose expiry a barrier has to wait, and that a slow machine still finds unexpired. */
const medium = { ...settings, leaseMs: 10_000, renewMs: 3_000 };
const { signal } = new AbortController();
const log = silentLogger();
const at = (sequence: number, incarnation = 'a'): Positions => ({ org: { incarnation, sequence } });
const newLeaseId = () => ulid().toLowerCase();

/** Logs that end at 1,000 in the incarnation of these tests. */
const log1000 = {
  head: async () => ({ incarnation: 'a', sequence: 1_000 }),
  read: async () => ({ events: [], head: { incarnation: 'a', sequence: 1_000 } }),
};
const heads = { org: log1000, project: log1000, token: log1000 };

async function open(t: ExecutionContext, usual = settings) {
  const database = await testDatabase(t);
  const subjectPrefix = `test-${randomUUID().slice(0, 8)}.v1`;
  const link = () => {
    const nats = connectNats({ url: required('NATS_URL'), name: 'test', log });
    t.teardown(() => nats[Symbol.asyncDispose]());
    return nats;
  };
  const replica = async (lease = usual, stored: Partial<LeaseStore> = {}) => {
    const { client, db } = await database.connect();
    await prepare(db, storeMigrations);
    const registry = openRegistry({
      store: { ...createLeaseStore(client, db, signal), ...stored },
      lastUse: new LastUse(createKeyStore(db), systemClock),
      keys: new MessageKeeper({ store: createMessageKeyStore(db, signal), log }),
      ...{ nats: link(), logs: heads, subjectPrefix, settings: lease, log },
    });
    t.teardown(() => registry[Symbol.dispose]());
    return registry;
  };
  const { db } = await database.connect();
  const keeper = new MessageKeeper({ store: createMessageKeyStore(db, signal), log });
  /** The key as any replica returns it to the holder of the lease. */
  const keyOf = async (leaseId: string) =>
    messageKey(leaseId, (await keeper.keysOf(leaseId)).acknowledgementSecret);
  const nats = link();
  await nats.ready(signal);
  return {
    replica,
    here: await replica(),
    there: await replica(),
    keyOf,
    publish: (bytes: Uint8Array) => nats.publish(`acknowledged.${subjectPrefix}`, bytes),
    /** Acknowledges with the lease's own key unless another is given. */
    acknowledge: async (leaseId: string, positions: Positions, key?: MessageKey) =>
      publishAcknowledgement(nats, subjectPrefix, key ?? (await keyOf(leaseId)), {
        ...{ leaseId, guardName: 'test' },
        ...{ positions: toLogPositions(positions), applied: toLogPositions(positions) },
      }),
  };
}

/**
 * Returns the result of a promise. Repeats an action until the promise is settled and the action
 * has ended, too.
 */
async function during<T>(waited: Promise<T>, act: () => Promise<void>): Promise<T> {
  let isOver = false;
  const end = () => {
    isOver = true;
  };
  waited.then(end, end);
  await eventually(async () => {
    await act();
    if (!isOver) throw new Error('not settled yet');
  });
  return await waited;
}

test('a stopping process does not wait for a store that does not respond', async (t) => {
  const { replica } = await open(t);
  const asked = Promise.withResolvers<void>();
  const stuck = await replica(settings, {
    list: () => {
      asked.resolve();
      return new Promise(() => {});
    },
  });
  const stopped = stuck.untilEmpty(1_000);
  await asked.promise;
  await t.notThrowsAsync(stopped);
});

test('a lease of one replica is renewed at the other, which knows the requirement', async (t) => {
  const { here, there } = await open(t, long);
  const leaseId = newLeaseId();
  const numbers = { leaseMs: long.leaseMs, renewMs: long.renewMs, driftShare: 0.01 };
  const acquired = await here.for('guard/edge').acquire(leaseId, 'guard', signal);
  t.deepEqual(acquired.numbers, numbers);
  const renew = async (applied: Positions) => {
    const { answer, keys } = await there
      .for('guard/edge')
      .renew({ leaseId, applied, acknowledged: {} }, signal);
    if (answer.result !== 'lost') {
      t.deepEqual(keys?.acknowledgementSecret, acquired.keys?.acknowledgementSecret);
    }
    return answer;
  };
  t.deepEqual(await renew({}), { result: 'granted', numbers });
  await here.raiseRequirement(at(7), signal);
  t.deepEqual(await renew(at(6)), { result: 'behind', required: at(7), numbers });
  t.deepEqual(await renew(at(7)), { result: 'granted', numbers });
  await here.for('guard/edge').release(leaseId, signal);
  t.deepEqual(await renew(at(7)), { result: 'lost' });
});

test('a barrier passes with the received acknowledgements, whichever replica waits', async (t) => {
  const { here, there, acknowledge } = await open(t, long);
  const leaseIds = [newLeaseId(), newLeaseId()];
  for (const leaseId of leaseIds) await here.for('guard/edge').acquire(leaseId, 'guard', signal);
  for (const [index, replica] of [here, there].entries()) {
    const passed = replica.awaitBarrier(at(index + 1), signal);
    const { guards, acknowledged, expired, elapsed, positions } = await during(passed, async () => {
      for (const leaseId of leaseIds) await acknowledge(leaseId, at(index + 1));
    });
    t.deepEqual({ guards, acknowledged, expired }, { guards: 2, acknowledged: 2, expired: 0 });
    t.not(elapsed, undefined);
    t.deepEqual(positions, [{ source: 'org', incarnation: 'a', sequence: index + 1 }]);
  }
});

test('a barrier learns from a renewal at the other replica', async (t) => {
  const { here, there } = await open(t, long);
  const leaseId = newLeaseId();
  await here.for('guard/edge').acquire(leaseId, 'guard', signal);
  const passed = here.awaitBarrier(at(3), signal);
  await there.for('guard/edge').renew({ leaseId, applied: at(3), acknowledged: at(3) }, signal);
  t.like(await passed, { guards: 1, acknowledged: 1 });
});

test('a barrier waits for a silent guard for its longest read lease, once, and then the lease is deleted', async (t) => {
  const { here, replica } = await open(t);
  const longer = await replica({ ...settings, leaseMs: leaseMs + 1_000 });
  // Repeats the attempt if, on a busy machine, the lease was over before the barrier listed it.
  const { leaseId, report, tookMs } = await eventually(async () => {
    const leaseId = newLeaseId();
    await longer.for('guard/edge').acquire(leaseId, 'guard', signal);
    await longer.for('guard/edge').renew({ leaseId, applied: {}, acknowledged: {} }, signal);
    const before = performance.now();
    const report = await here.awaitBarrier(at(1), signal);
    if (report.guards !== 1) throw new Error(`${report.guards} guards`);
    return { leaseId, report, tookMs: performance.now() - before };
  });
  t.like(report, { acknowledged: 0, expired: 1 });
  t.true(tookMs >= leaseMs + 1_000);
  await eventually(async () => {
    const { guards } = await here.awaitBarrier(at(1), signal);
    if (guards !== 0) throw new Error(`${guards} guards`);
  });
  const renewal = { leaseId, applied: at(1), acknowledged: at(1) };
  t.deepEqual(await longer.for('guard/edge').renew(renewal, signal), {
    answer: { result: 'lost' },
    keys: undefined,
  });
});

test('a barrier whose caller has gone is given up, and never succeeds', async (t) => {
  const { here } = await open(t, long);
  await here.for('guard/edge').acquire(newLeaseId(), 'guard', signal);
  await t.throwsAsync(here.awaitBarrier(at(1), AbortSignal.timeout(300)), { name: 'TimeoutError' });
});

test('a hundred concurrent revocations need few statements, and all pass', async (t) => {
  const { here, acknowledge } = await open(t, long);
  const leaseId = newLeaseId();
  await here.for('guard/edge').acquire(leaseId, 'guard', signal);
  const passing = Promise.all(
    Array.from({ length: 100 }, (_, index) => here.awaitBarrier(at(index + 1), signal)),
  );
  const reports = await during(passing, () => acknowledge(leaseId, at(100)));
  t.true(reports.every(({ guards, acknowledged }) => guards === 1 && acknowledged === 1));
});

test('an acknowledgement that is not authentic or has an invalid position does not count', async (t) => {
  const { here, publish, acknowledge, keyOf } = await open(t, medium);
  const leaseId = newLeaseId();
  await here.for('guard/edge').acquire(leaseId, 'guard', signal);
  const otherLease = await here.for('guard/edge').acquire(newLeaseId(), 'another', signal);
  const otherSecret = otherLease.keys?.acknowledgementSecret ?? Buffer.alloc(32);
  const otherKey = await keyOf(newLeaseId());
  const passed = here.awaitBarrier(at(1), signal);
  const report = await during(passed, async () => {
    publish(Buffer.from('{"lease_id":"no protobuf"}'));
    publish(Buffer.alloc(0));
    await acknowledge(leaseId, at(1, ''));
    await acknowledge(newLeaseId(), at(1));
    await acknowledge(leaseId, at(1), messageKey(leaseId, randomBytes(32)));
    await acknowledge(leaseId, at(1), otherKey);
    await acknowledge(leaseId, at(1), messageKey(leaseId, otherSecret));
    await acknowledge(leaseId, at(1, 'A'));
  });
  t.like(report, { acknowledged: 0, expired: 2 });
  t.true(here.ignored.malformed > 0 && here.ignored.wrong_mac > 0);
});
