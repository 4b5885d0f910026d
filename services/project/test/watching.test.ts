import { errors } from '@silo/errors/errors.ts';
import { reasonOf } from '@silo/errors/from-status.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { systemClock } from '@silo/runtime/clock.ts';
import { fakeClock } from '@silo/runtime/test/fake-clock.ts';
import test, { type ExecutionContext } from 'ava';
import { createWatching, type Watching } from '../migration/watching.ts';
import type { MigrationDocument } from '../store/documents.ts';
import { createMigrationStore, migrationCollection } from '../store/migrations.ts';
import { type Offered, offered } from './migration-support.ts';

const done = MigrationState.MIGRATION_STATE_DONE;

/** A migration with a counter of its reads. */
async function counted(t: ExecutionContext) {
  const world = await offered(t);
  const { find } = createMigrationStore(world.db);
  const reads = { count: 0 };
  const counting: typeof find = async (...wanted) => {
    reads.count++;
    return await find(...wanted);
  };
  return { world, reads, migrations: { find: counting } };
}

async function see(record: MigrationDocument | undefined): Promise<MigrationDocument> {
  if (record === undefined) throw errors.migrationNotFound('');
  return record;
}

function watch(watching: Watching, { migration }: Offered, actor: string) {
  const signal = AbortSignal.timeout(600_000);
  return watching(migration._id, { actor, signal }, see);
}

async function change({ db, migration }: Offered, values: Partial<MigrationDocument>) {
  await migrationCollection(db).updateOne(
    { _id: migration._id },
    { $set: values, $inc: { revision: 1 } },
  );
}

test('all streams of a migration share the reads of its record, and each sees its end', async (t) => {
  const { world, reads, migrations } = await counted(t);
  const watching = createWatching(migrations, systemClock);
  const streams = Array.from({ length: 50 }, (_, index) =>
    watch(watching, world, `acc_${index % 10}`),
  );
  const first = await Promise.all(streams.map((stream) => stream.next()));
  t.is(reads.count, streams.length, 'each reads for itself before it joins the others');
  t.deepEqual(new Set(first.map(({ value }) => value?.revision)), new Set([1]));
  await change(world, { state: done });
  const last = await Promise.all(streams.map((stream) => stream.next()));
  t.deepEqual(new Set(last.map(({ value }) => value?.state)), new Set([done]));
  t.true(reads.count < 1.5 * streams.length, `${reads.count} reads`);
  const ended = await Promise.all(streams.map((stream) => stream.next()));
  t.true(ended.every((each) => each.done));
});

test('a stream sees everything written before it began, even if others watch', async (t) => {
  const { world, migrations } = await counted(t);
  const watching = createWatching(migrations, systemClock);
  const other = watch(watching, world, 'acc_1');
  await other.next();
  const others = other.next();
  await change(world, { bytesPerSecondMax: 7 });
  const { value } = await watch(watching, world, 'acc_2').next();
  t.is(value?.bytesPerSecondMax, 7);
  t.is((await others).value?.bytesPerSecondMax, 7);
});

test('a caller who may not see a migration is refused by a separate read, even while others watch it', async (t) => {
  const { world, reads, migrations } = await counted(t);
  const watching = createWatching(migrations, systemClock);
  const other = watch(watching, world, 'acc_1');
  await other.next();
  const waiting = other.next();
  reads.count = 0;
  const stranger = watching(
    world.migration._id,
    { actor: 'acc_2', signal: AbortSignal.timeout(600_000) },
    async () => {
      throw errors.migrationNotFound('');
    },
  );
  const refusal = stranger.next();
  t.is(reads.count, 1, 'immediately');
  t.is(reasonOf(await t.throwsAsync(refusal)), 'MIGRATION_NOT_FOUND');
  await change(world, { state: done });
  t.is((await waiting).value?.state, done);
});

test('an account has at most ten streams; the eleventh is refused until one ends', async (t) => {
  const { world, migrations } = await counted(t);
  const watching = createWatching(migrations, systemClock);
  const streams = Array.from({ length: 10 }, () => watch(watching, world, 'acc_1'));
  for (const stream of streams) await stream.next();
  const refusal = await t.throwsAsync(watch(watching, world, 'acc_1').next());
  t.is(reasonOf(refusal), 'RATE_LIMITED');
  await t.notThrowsAsync(watch(watching, world, 'acc_2').next());
  await streams[0]?.return(undefined);
  await t.notThrowsAsync(watch(watching, world, 'acc_1').next());
});

test('a stream ends after ten minutes, although the migration continues', async (t) => {
  const { world, migrations } = await counted(t);
  const clock = fakeClock();
  const pauses: number[] = [];
  const sleep = async (durationMs: number) => {
    pauses.push(durationMs);
    clock.advance(durationMs);
  };
  const stream = watch(createWatching(migrations, clock, sleep), world, 'acc_1');
  t.is((await stream.next()).value?.revision, 1);
  t.true((await stream.next()).done);
  t.is(clock.monotonicMs(), 10 * 60_000);
  t.deepEqual(new Set(pauses), new Set([0, 500]), 'two reads a second');
});
