import type { Positions } from '@silo/guard/core/position.ts';
import { prepare, testDatabase } from '@silo/mongo/test/support.ts';
import test, { type ExecutionContext } from 'ava';
import { createLeaseStore } from '../store/leases.ts';
import { storeMigrations } from '../store/set-up.ts';

/** The leases as two replicas see them. */
async function open(t: ExecutionContext) {
  const database = await testDatabase(t);
  const { signal } = new AbortController();
  const connect = async () => {
    const { client, db } = await database.connect();
    await prepare(db, storeMigrations);
    return createLeaseStore(client, db, signal);
  };
  const { db } = await database.connect();
  return { here: await connect(), there: await connect(), db };
}

const leaseMs = 5_000;
const owner = 'guard/edge';

function lease(id: string, acknowledged: Positions = {}) {
  return { id, owner, guardName: `guard of ${id}`, version: 0, acknowledged, leaseMs };
}

const at = (sequence: number, incarnation = 'a') => ({ incarnation, sequence });

test('a lease is inserted once: the second time changes nothing', async (t) => {
  const { here, there } = await open(t);
  await Promise.all([here.insert(lease('one')), there.insert(lease('one'))]);
  t.true(await here.renew('one', owner, {}, leaseMs));
  await there.insert(lease('one'));
  t.deepEqual(await here.list(), [{ ...lease('one'), version: 1 }]);
});

test('each renewal increments the version, and acknowledgements never fall', async (t) => {
  const { here, there } = await open(t);
  await here.insert(lease('one'));
  t.true(await here.renew('one', owner, { org: at(7), token: at(3) }, leaseMs));
  t.true(
    await there.renew('one', owner, { org: at(5), token: at(1, 'b'), project: at(0) }, leaseMs),
  );
  t.true(
    await here.renew('one', owner, { org: at(9, 'Z'), token: at(9, 'a') }, leaseMs),
    'an earlier life',
  );
  const acknowledged = { org: at(7), token: at(1, 'b'), project: at(0) };
  t.deepEqual(await there.list(), [{ ...lease('one', acknowledged), version: 3 }]);
});

test('waiting renewals of a lease are combined, with their latest acknowledgements', async (t) => {
  const { here, there } = await open(t);
  await here.insert(lease('one'));
  const renewed = Array.from({ length: 200 }, (_, index) =>
    here.renew('one', owner, { org: at(index) }, leaseMs + index),
  );
  t.true((await Promise.all(renewed)).every(Boolean));
  // 24 statements begin at once, and the other renewals share one.
  const [stored] = await there.list();
  t.deepEqual(stored, {
    ...lease('one', { org: at(199) }),
    ...{ version: 25, leaseMs: leaseMs + 199 },
  });
});

test('a renewal does not join one of another lease or owner', async (t) => {
  const { here } = await open(t);
  await here.insert(lease('one'));
  const fill = Array.from({ length: 24 }, () => here.renew('one', owner, {}, leaseMs));
  const others = [
    here.renew('one', 'service/org', {}, leaseMs),
    here.renew('two', owner, {}, leaseMs),
    here.renew('one', owner, {}, leaseMs),
  ];
  await Promise.all(fill);
  t.deepEqual(await Promise.all(others), [false, false, true]);
});

test('a lease keeps the longest length with which it was renewed', async (t) => {
  const { here, there } = await open(t);
  await here.insert(lease('one'));
  await there.renew('one', owner, {}, 7_000);
  await here.renew('one', owner, {}, leaseMs);
  t.deepEqual(await here.list(), [{ ...lease('one'), version: 2, leaseMs: 7_000 }]);
});

test('a lease that was never written or was deleted cannot be renewed', async (t) => {
  const { here, there } = await open(t);
  t.false(await here.renew('one', owner, {}, leaseMs));
  await here.insert(lease('one'));
  t.true(await there.delete('one'));
  t.false(await there.delete('one'));
  t.false(await here.renew('one', owner, {}, leaseMs));
  t.deepEqual(await here.list(), []);
});

test('another owner can neither insert, renew nor release a lease', async (t) => {
  const { here, there } = await open(t);
  t.true(await here.insert(lease('one')));
  t.true(await there.insert(lease('one')), 'the same owner again');
  t.false(await there.insert({ ...lease('one'), owner: 'service/org' }));
  t.false(await there.renew('one', 'service/org', { org: at(7) }, leaseMs));
  await there.release('one', 'service/org');
  t.deepEqual(await here.list(), [lease('one')]);
  await there.release('one', owner);
  t.deepEqual(await here.list(), []);
});

test('a released lease is not inserted, renewed or listed again, even if the insert comes later', async (t) => {
  const { here, there } = await open(t);
  await here.insert(lease('before'));
  await Promise.all([here.release('before', owner), there.release('before', owner)]);
  await there.release('after', owner);
  for (const id of ['before', 'after']) {
    t.false(await here.insert(lease(id)));
    t.false(await here.renew(id, owner, {}, leaseMs));
  }
  t.deepEqual(await there.list(), []);
  t.true(await here.insert(lease('other')));
});

test('a replica of an older release treats a released lease as that of a silent guard', async (t) => {
  const { here, db } = await open(t);
  await here.release('one', owner);
  const stored = await db.collection('guard_leases').findOne();
  const silent = { owner, guardName: '', version: 0, acknowledged: {}, leaseMs: 0 };
  t.like(stored, silent, 'without these fields its barriers would not wait for other guards');
});

test('no lease is left after a concurrent insert and release', async (t) => {
  const { here, there } = await open(t);
  for (let turn = 1; turn <= 20; turn++) {
    await Promise.all([here.insert(lease(`${turn}`)), there.release(`${turn}`, owner)]);
  }
  t.deepEqual(await here.list(), []);
});

test('a conditional deletion of a lease requires an unchanged version', async (t) => {
  const { here, there } = await open(t);
  await here.insert(lease('one'));
  await here.insert(lease('other'));
  await here.renew('one', owner, {}, leaseMs);
  t.false(await there.delete('one', 0));
  t.true(await there.delete('one', 1));
  t.deepEqual(
    (await here.list()).map(({ id }) => id),
    ['other'],
  );
});

test('the requirement never falls for any source, whichever replica raises it', async (t) => {
  const { here, there } = await open(t);
  t.deepEqual(await here.readRequirement(), {});
  await here.raiseRequirement({ org: at(7) });
  await there.raiseRequirement({ org: at(5), token: at(2) });
  t.deepEqual(await here.readRequirement(), { org: at(7), token: at(2) });
  await there.raiseRequirement({ org: at(1, 'b') });
  await here.raiseRequirement({ org: at(9) });
  t.deepEqual(await there.readRequirement(), { org: at(1, 'b'), token: at(2) });
});

test('concurrent raises all take effect, even if there was no requirement before', async (t) => {
  const { here, there } = await open(t);
  const raises = Array.from({ length: 40 }, (_, index) => {
    const source = index % 3 === 0 ? 'org' : 'project';
    return (index % 2 === 0 ? here : there).raiseRequirement({ [source]: at(index) });
  });
  await Promise.all(raises);
  t.deepEqual(await here.readRequirement(), { org: at(39), project: at(38) });
});

test('a list sees every lease that was written before this replica raised the requirement', async (t) => {
  const { here, there } = await open(t);
  for (let turn = 1; turn <= 20; turn++) {
    await there.insert(lease(`lease ${turn}`));
    await here.raiseRequirement({ token: at(turn) });
    t.is((await here.list()).length, turn);
  }
});

test('a renewal reads every earlier requirement, whichever replica raised it', async (t) => {
  const { here, there } = await open(t);
  await here.insert(lease('one'));
  for (let turn = 1; turn <= 20; turn++) {
    await there.raiseRequirement({ token: at(turn) });
    await here.renew('one', owner, {}, leaseMs);
    t.deepEqual(await here.readRequirement(), { token: at(turn) });
  }
});

test('deployments do not share leases or requirements', async (t) => {
  const { here } = await open(t);
  const { here: elsewhere } = await open(t);
  await here.insert(lease('one'));
  await here.raiseRequirement({ org: at(7) });
  t.deepEqual(await elsewhere.list(), []);
  t.deepEqual(await elsewhere.readRequirement(), {});
  t.false(await elsewhere.renew('one', owner, {}, leaseMs));
});

test('no operation reports success after the process has stopped', async (t) => {
  const database = await testDatabase(t);
  const { client, db } = await database.connect();
  await prepare(db, storeMigrations);
  const stop = new AbortController();
  const store = createLeaseStore(client, db, stop.signal);
  stop.abort();
  await t.throwsAsync(store.raiseRequirement({ org: at(1) }));
  await t.throwsAsync(store.list());
  await t.throwsAsync(store.renew('one', owner, {}, leaseMs));
});

test('concurrent renewals of many guards use only a share of the connections', async (t) => {
  const { client, db } = await (await testDatabase(t)).connect();
  await prepare(db, storeMigrations);
  const store = createLeaseStore(client, db, new AbortController().signal);
  const ids = Array.from({ length: 150 }, (_, index) => `lease ${index}`);
  await Promise.all(ids.map((id) => store.insert(lease(id))));
  let taken = 0;
  let takenMax = 0;
  client.on('connectionCheckedOut', () => {
    takenMax = Math.max(takenMax, ++taken);
  });
  client.on('connectionCheckedIn', () => taken--);
  const renewals = ids.map((id) => store.renew(id, owner, {}, leaseMs));
  t.true((await Promise.all(renewals)).every((isFound) => isFound));
  t.true((await store.list()).every(({ version }) => version === 1));
  t.true(takenMax <= client.options.maxPoolSize / 2, `${takenMax} connections`);
});
