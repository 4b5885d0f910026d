/** Copies of large events are bounded by bytes, not only by the number of events. */
import { randomUUID } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import { BSON, type Db, type Document } from 'mongodb';
import { eventually } from '../../../test/harness/eventually.ts';
import { EventDigest } from '../rules/events/event-digest.ts';
import { endPlace, firstPlace } from '../rules/events/event-range.ts';
import { EventBytes } from '../store/copied-events.ts';
import type { Checkpoint } from '../store/copy-checkpoint.ts';
import { keyOf, uuidBytes } from '../store/event-collection.ts';
import { createMigrationComparison } from '../store/migration-comparison.ts';
import { createMigrationCopyStore } from '../store/migration-copy.ts';
import { openEventReader, placeOf } from '../store/migration-events.ts';
import { captured, receiveTime } from './event-support.ts';
import {
  type CopyWorld,
  copyWorld,
  eventsOf,
  old,
  signal,
  untilEqual,
} from './migration-copy-support.ts';

const megabyte = 1024 * 1024;
/** Number of events of 1 MiB that fit into 16 MiB. */
const largeMax = 16;
const count = 40;

/** Documents of events of a project, one per millisecond. */
function documentsOf(
  projectId: string,
  { uuids, fromMs, size }: { uuids: readonly string[]; fromMs: number; size: number },
): Uint8Array[] {
  return uuids.map((uuid, index) =>
    BSON.serialize({
      _id: keyOf(projectId, uuidBytes(uuid)),
      ...{ time: new Date(fromMs + index), name: 'left', distinctId: 'ada' },
      ...{ receiveTime: new Date(0), properties: Buffer.alloc(size, 'x') },
    }),
  );
}

const newUuids = (length: number) => Array.from({ length }, () => randomUUID());

async function store(db: Db, documents: readonly Uint8Array[]): Promise<void> {
  const faithfully = { promoteBuffers: false, promoteValues: false };
  for (const document of documents) {
    await eventsOf(db).insertOne(BSON.deserialize(document, faithfully) as never);
  }
}

/**
 * Returns the largest number of events that one transaction removes, once this many are removed.
 */
async function watchRemovals(t: ExecutionContext, db: Db) {
  const deletes = { operationType: 'delete', 'ns.coll': 'captured_events' };
  const changes = db.watch([{ $match: deletes }]);
  t.teardown(() => changes.close());
  await changes.tryNext(); // from here on it has everything
  return async (total: number): Promise<number> => {
    const removed = new Map<string, number>();
    for (let left = total; left > 0; left--) {
      const { lsid, txnNumber } = (await changes.next()) as Document;
      const name = `${lsid.id.toString('hex')} ${txnNumber}`;
      removed.set(name, (removed.get(name) ?? 0) + 1);
    }
    return Math.max(...removed.values());
  };
}

async function begun({ destination, projectId, migrationId: id }: CopyWorld) {
  const copies = createMigrationCopyStore(destination);
  const comparison = createMigrationComparison(destination);
  return {
    copies,
    checkpoint: await copies.open({ id, projectId, digestsOnly: true }, 1, signal()),
    /** Compares all ranges of a copy. */
    compare: async (checkpoint: Checkpoint) => {
      await comparison.unverify(checkpoint, signal());
      const { equal, different } = await comparison.compareSome(checkpoint, 8, signal());
      return { equal: equal.length, different: different.length };
    },
  };
}

const sentOf = (documents: readonly Uint8Array[]) => documents.map((each) => new EventBytes(each));

test.serial(
  'deletions of large events are applied in bounded transactions, and can be interrupted',
  async (t) => {
    const world = await copyWorld(t);
    const { destination, projectId } = world;
    const uuids = newUuids(count);
    const stored = documentsOf(projectId, { uuids, fromMs: 0, size: megabyte });
    await store(destination, stored);
    const { copies, checkpoint, compare } = await begun(world);
    const range = { last: endPlace, digest: EventDigest.of(stored), events: undefined };
    const token = (text: string) => Buffer.from(text);
    const copied = await copies.applyRanges(checkpoint, [range], token('former'), signal());
    const largest = await watchRemovals(t, destination);
    const deleted = { uuids: uuids.map(uuidBytes), events: [] };
    // The last transaction fails, because the source sends an event of another project.
    const foreign = documentsOf('prj_other', { uuids: newUuids(1), fromMs: 0, size: 1 });
    const failing = copies.applyChanges(
      copied,
      { ...deleted, events: sentOf(foreign) },
      token('later'),
      signal(),
    );
    await t.throwsAsync(failing, { name: 'CopyDiffers' });
    const left = await eventsOf(destination).countDocuments();
    t.true(left > 0 && left < count, `${left} events are left`);
    const again = await copies.reload(copied, signal());
    t.deepEqual(again.resumeToken, token('former'), 'the changes are sent again');
    t.is(again.changesApplied, 0);
    t.deepEqual(await compare(again), { equal: 1, different: 0 });
    const applied = await copies.applyChanges(again, deleted, token('later'), signal());
    t.deepEqual(applied.resumeToken, token('later'));
    t.is(applied.changesApplied, count);
    const repeated = await copies.applyChanges(applied, deleted, token('later'), signal());
    t.is(await eventsOf(destination).countDocuments(), 0);
    t.deepEqual(await compare(repeated), { equal: 1, different: 0 });
    t.true((await largest(count)) <= largeMax);
  },
);

test.serial(
  'large events that have become small are replaced in bounded transactions',
  async (t) => {
    const world = await copyWorld(t);
    const { destination, projectId } = world;
    const uuids = newUuids(count);
    const stored = documentsOf(projectId, { uuids, fromMs: 0, size: megabyte });
    await store(destination, stored);
    const { copies, checkpoint, compare } = await begun(world);
    const range = { last: endPlace, digest: EventDigest.of(stored), events: undefined };
    const copied = await copies.applyRanges(checkpoint, [range], Buffer.alloc(0), signal());
    const largest = await watchRemovals(t, destination);
    const sent = documentsOf(projectId, { uuids, fromMs: 0, size: 1 });
    const changes = { uuids: uuids.map(uuidBytes), events: sentOf(sent) };
    const applied = await copies.applyChanges(copied, changes, Buffer.alloc(1), signal());
    const small = { properties: Buffer.alloc(1, 'x') };
    t.is(await eventsOf(destination).countDocuments(small), count);
    t.deepEqual(await compare(applied), { equal: 1, different: 0 });
    t.true((await largest(count)) <= largeMax);
  },
);

test.serial(
  'large events that the scan finds at another place are moved in bounded transactions',
  async (t) => {
    const world = await copyWorld(t);
    const { destination, projectId } = world;
    const uuids = newUuids(count);
    const stored = documentsOf(projectId, { uuids, fromMs: 0, size: megabyte });
    await store(destination, stored);
    const { copies, checkpoint, compare } = await begun(world);
    const first = { timeMs: 1_000, uuid: new Uint8Array(16) };
    const scanned = { last: first, digest: EventDigest.of(stored), events: undefined };
    const copied = await copies.applyRanges(checkpoint, [scanned], Buffer.alloc(0), signal());
    const largest = await watchRemovals(t, destination);
    const sent = documentsOf(projectId, { uuids, fromMs: 2_000, size: 1 });
    const range = { last: endPlace, digest: EventDigest.of(sent), events: sentOf(sent) };
    const applied = await copies.applyRanges(copied, [range], Buffer.alloc(1), signal());
    t.is(await eventsOf(destination).countDocuments({ time: { $gt: new Date(1_000) } }), count);
    t.is(await eventsOf(destination).countDocuments(), count);
    t.deepEqual(await compare(applied), { equal: 2, different: 0 });
    t.true((await largest(count)) <= largeMax);
  },
);

test.serial('large events of an earlier stay are removed in bounded transactions', async (t) => {
  const world = await copyWorld(t);
  const { destination, projectId } = world;
  await world.capture([captured({})]);
  const left = { uuids: newUuids(count), fromMs: 0, size: megabyte };
  await store(destination, documentsOf(projectId, left));
  const largest = await watchRemovals(t, destination);
  const { copy } = await world.start({ digestsOnly: true });
  await copy.verifyAll(signal());
  t.is((await untilEqual(world)).length, 1);
  t.true((await largest(count)) <= largeMax);
});

test.serial('large versions of an earlier stay are replaced in bounded transactions', async (t) => {
  const world = await copyWorld(t);
  const { source, destination, projectId } = world;
  const uuids = newUuids(count);
  await store(source, documentsOf(projectId, { uuids, fromMs: 0, size: 1 }));
  await store(destination, documentsOf(projectId, { uuids, fromMs: 0, size: megabyte }));
  const largest = await watchRemovals(t, destination);
  const { copy } = await world.start({ digestsOnly: true });
  await copy.verifyAll(signal());
  t.is((await untilEqual(world)).length, count);
  t.is(copy.progress().rangesRepaired, 0, 'the difference is expected');
  t.true((await largest(count)) <= largeMax);
});

test.serial('a range that large events have grown is split', async (t) => {
  const world = await copyWorld(t);
  const { source, destination, projectId, capture } = world;
  await capture(old(3));
  const { copy } = await world.start();
  await copy.verifyAll(signal());
  const fromMs = receiveTime.getTime() - 100_000;
  const added = { uuids: newUuids(count), fromMs, size: megabyte };
  await store(source, documentsOf(projectId, added));
  await eventually(async () => {
    const stored = await eventsOf(destination).countDocuments();
    if (stored !== count + 3) throw new Error(`${stored} events`);
    const ranges = await destination.collection('migration_ranges').find().toArray();
    const largest = Math.max(...ranges.map(({ bytes }) => bytes));
    if (!(largest <= largeMax * megabyte)) throw new Error(`a range of ${largest} bytes`);
  });
  await copy.verifyAll(signal());
  await untilEqual(world);
  t.is(copy.progress().rangesRepaired, 0);
});

test.serial('a source reads few large events at once', async (t) => {
  const { source, projectId } = await copyWorld(t);
  const uuids = newUuids(count);
  await store(source, documentsOf(projectId, { uuids, fromMs: 0, size: megabyte }));
  await using reader = await openEventReader(source, projectId, signal());
  const all = { after: firstPlace, last: endPlace };
  const [first] = (await reader.oldest(all, signal())).documents;
  await source.command({ profile: 2 });
  const { documents, isOver } = await reader.oldest(all, signal());
  const changed = await reader.byUuid(uuids.map(uuidBytes), signal());
  await source.command({ profile: 0 });
  t.deepEqual([documents, isOver], [[first], false]);
  t.deepEqual([changed.documents.length, changed.left.length], [1, count - 1]);
  const reads = { ns: `${source.databaseName}.captured_events`, op: 'query' };
  const found = await source.collection('system.profile').find(reads).toArray();
  t.is(found.length, 2);
  for (const { nreturned } of found) t.true(nreturned <= 4, `${nreturned} events`);
});

test('the place of an event does not keep its document in memory', (t) => {
  const [document] = documentsOf('prj_1', { uuids: newUuids(1), fromMs: 0, size: megabyte });
  if (document === undefined) throw new TypeError('no document');
  t.is(placeOf(document).uuid.buffer.byteLength, 16);
});
