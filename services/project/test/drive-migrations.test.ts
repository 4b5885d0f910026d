import { lead } from '@silo/log/leader.ts';
import { bareName } from '@silo/protos/enum-name.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { newId } from '@silo/tokens/ids.ts';
import test from 'ava';
import { eventually } from '../../../test/harness/eventually.ts';
import { driveMigrations } from '../loops/drive-migrations.ts';
import type { WorkDependencies } from '../migration/work.ts';
import { migrationCollection } from '../store/migrations.ts';
import { hasMoved, stateIn, twoRegions } from './two-regions.ts';

const { MIGRATION_STATE_COPYING: copying, MIGRATION_STATE_VERIFYING: verifying } = MigrationState;
const { MIGRATION_STATE_CUTOVER: cutover, MIGRATION_STATE_DONE: done } = MigrationState;
const { MIGRATION_STATE_CANCELLED: cancelled } = MigrationState;

/** The leader stays leader until it is stopped, however slow the machine is. */
const forLong = { leaseMs: 600_000, renewMs: 1_000, marginMs: 1_000 };

test.serial(
  'a process with its maximum of copies still takes over from one that has begun a cutover',
  async (t) => {
    const { dependencies } = await twoRegions(t);
    const stop = new AbortController();
    const taken = Promise.withResolvers<void>();
    let copied = 0;
    const migrations = {
      ...dependencies.migrations,
      due: async (_: unknown, { except, limit }: { except: string[]; limit: number }) =>
        ['a', 'b', 'c', 'd', 'e']
          .filter((id) => !except.includes(id))
          .slice(0, limit)
          .map((_id) => ({ _id })),
      open: async () => (copied < 4 ? [] : [{ _id: 'begun' }]),
      find: async (id: string) => ({ state: id === 'begun' ? cutover : copying }),
      claim: async (id: string, _fence: number, until: AbortSignal) => {
        if (id === 'begun') return taken.resolve();
        copied++;
        await new Promise((resolve) => until.addEventListener('abort', resolve, { once: true }));
      },
    } as unknown as WorkDependencies['migrations'];
    const running = driveMigrations({ ...dependencies, migrations, owner: 'one' }, stop.signal);
    await taken.promise;
    t.is(copied, 4);
    stop.abort();
    await running;
  },
);

test.serial('migrations that another process leads take no turns of this process', async (t) => {
  const regions = await twoRegions(t);
  const { dependencies, us, eu } = regions;
  const records = migrationCollection(eu.db);
  const record = await records.findOneAndDelete({ _id: us.migration._id });
  if (record === null) throw new TypeError('there is no record');
  const others = Array.from({ length: 12 }, () => ({
    ...record,
    ...{ _id: newId('mig_us'), projectId: newId('prj') },
  }));
  await records.insertMany([...others, record]);
  const [stop, over] = [new AbortController(), new AbortController()];
  t.teardown(() => [stop, over].map((each) => each.abort()));
  const led = new Set<string>();
  const another = { ...dependencies, owner: 'another', signal: over.signal, timing: forLong };
  const leading = others.map(({ _id: name }) =>
    lead({ ...another, name }, async (term) => {
      led.add(name);
      await new Promise((end) => term.signal.addEventListener('abort', end, { once: true }));
    }),
  );
  await eventually(() => {
    if (led.size < others.length) throw new Error(`${led.size} are led`);
  });
  const driving = driveMigrations({ ...dependencies, owner: 'one' }, stop.signal);
  await eventually(async () => {
    if ((await stateIn(regions)).record?.isOpen) throw new Error('it is still open');
  });
  await hasMoved(t, regions);
  stop.abort();
  await driving;
  over.abort();
  await Promise.all(leading);
  const fenced = { _id: { $in: others.map(({ _id }) => _id) }, fence: { $exists: true } };
  t.is(await records.countDocuments(fenced), 0, 'the other process leads the others');
});

for (const end of [done, cancelled]) {
  const name = bareName(MigrationState, end);
  test.serial(`the lease of a migration is removed after its end: ${name}`, async (t) => {
    const regions = await twoRegions(t);
    const { dependencies, us, eu } = regions;
    const { _id } = us.migration;
    const records = migrationCollection(eu.db);
    if (end === cancelled) await records.updateOne({ _id }, { $set: { state: cancelled } });
    const stop = new AbortController();
    t.teardown(() => stop.abort());
    const running = ['one', 'another'].map((owner) =>
      driveMigrations({ ...dependencies, owner }, stop.signal),
    );
    const leases = eu.db.collection<{ _id: string }>('leases');
    await eventually(async () => {
      if ((await records.findOne({ _id }))?.isOpen) throw new Error('its record is open');
      if ((await leases.findOne({ _id })) !== null) throw new Error('its lease is stored');
    });
    stop.abort();
    await Promise.all(running);
    const { record } = await stateIn(regions);
    t.is(record?.state, end);
    t.is(record?.goneTime !== undefined, end === cancelled, 'the project has not come');
  });
}

/**
 * The view of a process on a migration that another one leads, and its state when that process
 * ends.
 */
const found = [
  { seen: verifying, later: cutover, isFollowed: true },
  { seen: cutover, later: cutover, isFollowed: true },
  { seen: cutover, later: verifying, isFollowed: false },
  { seen: verifying, later: verifying, isFollowed: false },
];

for (const { seen, later, isFollowed } of found) {
  const states = `${bareName(MigrationState, seen)} became ${bareName(MigrationState, later)}`;
  test.serial(`whether a migration takes no turn is as of when it is led: ${states}`, async (t) => {
    const { dependencies } = await twoRegions(t);
    const [stop, over] = [new AbortController(), new AbortController()];
    t.teardown(() => [stop, over].map((each) => each.abort()));
    const [isLed, isLeft] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const other = {
      ...dependencies,
      name: 'led',
      owner: 'another',
      signal: over.signal,
      timing: forLong,
    };
    const leading = lead(other, async (term) => {
      isLed.resolve();
      await new Promise((end) => term.signal.addEventListener('abort', end, { once: true }));
    });
    await isLed.promise;
    const working = new Set<string>();
    let state: MigrationState = seen;
    let isSeen = false;
    const migrations = {
      ...dependencies.migrations,
      open: async () => {
        // Listed only once: it is missing from the list of the next turn.
        const some = seen === cutover && !isSeen ? [{ _id: 'led' }] : [];
        isSeen = true;
        return some;
      },
      due: async (_: unknown, { except, limit }: { except: string[]; limit: number }) =>
        ['led', 'a', 'b', 'c', 'd']
          .filter((id) => !except.includes(id))
          .slice(0, limit)
          .map((_id) => ({ _id })),
      find: async (id: string) => ({ state: id === 'led' ? state : copying }),
      claim: async (id: string, _fence: number, until: AbortSignal) => {
        working.add(id);
        if (id === 'led') return;
        await new Promise((resolve) => until.addEventListener('abort', resolve, { once: true }));
      },
    } as unknown as WorkDependencies['migrations'];
    const log: WorkDependencies['log'] = Object.create(dependencies.log);
    log.info = ({ name }: { name?: string }, message?: string) => {
      if (name === 'led' && message === 'no longer leading') isLeft.resolve();
    };
    const driving = driveMigrations(
      { ...dependencies, migrations, log, owner: 'one' },
      stop.signal,
    );
    await eventually(() => {
      if (working.size < 4) throw new Error(`it works on ${[...working]}`);
    });
    state = later;
    over.abort();
    await Promise.all([leading, isLeft.promise]);
    t.is(working.has('led'), isFollowed);
    stop.abort();
    await driving;
  });
}
