import { randomUUID } from 'node:crypto';
import { errors } from '@silo/errors/errors.ts';
import type { PullEventsResponse } from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import { systemClock } from '@silo/runtime/clock.ts';
import test from 'ava';
import type { Document } from 'mongodb';
import { eventually } from '../../../test/harness/eventually.ts';
import type { CopySource } from '../migration/copy-types.ts';
import { decodeSteps } from '../migration/decode-steps.ts';
import { pack } from '../peer-messages.ts';
import { EventDigest } from '../rules/events/event-digest.ts';
import { endPlace } from '../rules/events/event-range.ts';
import { bytesOf, keyOf, uuidBytes } from '../store/event-collection.ts';
import { createMigrationComparison } from '../store/migration-comparison.ts';
import { createMigrationCopyStore } from '../store/migration-copy.ts';
import { stepBounds } from '../store/migration-events.ts';
import { StoredEvent } from '../store/stored-event.ts';
import { captured, receiveTime } from './event-support.ts';
import {
  bytesOfEvents,
  type CopyWorld,
  copyWorld,
  eventsOf,
  old,
  signal,
  text,
  untilEqual,
  writeFence,
} from './migration-copy-support.ts';

/** Applies received steps until the scan is complete, without comparing. */
async function pullAll(world: CopyWorld): Promise<void> {
  const { destination, projectId, migrationId: id, peer } = world;
  const copies = createMigrationCopyStore(destination);
  let checkpoint = await copies.open({ id, projectId, digestsOnly: false }, 0, signal());
  const request = {
    ...{ migrationId: id, after: undefined, isScanned: false, digestsOnly: false },
    resumeToken: Buffer.alloc(0),
  };
  const over = new AbortController();
  const steps = decodeSteps(peer.pullEvents(request, over), {
    ...{ clock: systemClock, signal: over.signal },
  });
  for await (const step of steps) {
    if (step.kind !== 'ranges') continue;
    checkpoint = await copies.applyRanges(checkpoint, step.ranges, step.resumeToken, signal());
    if (checkpoint.isScanned) break;
  }
  over.abort();
}

test.serial(
  'a changed byte, a missing event and an additional one are found and repaired',
  async (t) => {
    const world = await copyWorld(t);
    const { destination, projectId } = world;
    await world.capture(old(150));
    await pullAll(world);
    const all = eventsOf(destination);
    const [flipped, dropped] = await all.find({}, { sort: { time: 1 }, skip: 10 }).toArray();
    const bytes = Buffer.from(bytesOf(flipped?.properties ?? Buffer.alloc(0)));
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    await all.updateOne({ time: flipped?.time }, { $set: { properties: bytes } });
    await all.deleteOne({ time: dropped?.time });
    const last = await all.findOne({}, { sort: { time: -1 } });
    if (last === null) throw new Error('nothing is copied');
    const uuid = uuidBytes(randomUUID());
    await all.insertOne({ ...last, _id: keyOf(projectId, uuid) });
    // An event with another binary subtype is a different event.
    await all.insertOne({ ...last, _id: { project: projectId, uuid } });
    const { copy } = await world.start();
    await copy.verifyAll(signal());
    t.is(copy.progress().rangesRepaired, 2);
    await all.updateOne({ time: last.time }, { $set: { distinctId: 'eve' } });
    await copy.verifyAgain(signal());
    t.is((await untilEqual(world)).length, 150);
    t.is(copy.progress().rangesRepaired, 3, 'damage after all ranges were equal is repaired, too');
  },
);

test.serial(
  'a range that was cut after its comparison is not replaced by its old parts',
  async (t) => {
    const { destination, projectId, migrationId: id } = await copyWorld(t);
    const copies = createMigrationCopyStore(destination);
    const begun = await copies.open({ id, projectId, digestsOnly: true }, 1, signal());
    const range = {
      last: endPlace,
      digest: EventDigest.of([Buffer.from('lost')]),
      events: undefined,
    };
    const copied = await copies.applyRanges(begun, [range], Buffer.alloc(0), signal());
    const comparison = createMigrationComparison(destination);
    const [different] = (await comparison.compareSome(copied, 8, signal())).different;
    if (different === undefined) throw new Error('nothing differs');
    const cut = { $set: { 'last.time': new Date(0) } };
    await destination.collection('migration_ranges').updateOne({}, cut);
    const sent = { last: endPlace, digest: new EventDigest(), events: [] };
    const place = { range: different, isExpected: true, mayRemove: async () => {} };
    await t.throwsAsync(copies.repair(copied, place, sent, signal()), { name: 'CopyAhead' });
    t.is(await destination.collection('migration_ranges').countDocuments({ repairs: 0 }), 1);
  },
);

/** Stores events of an earlier stay, in the past. */
async function leaveBehind({ destination, projectId }: CopyWorld, count: number): Promise<void> {
  const left = Array.from({ length: count }, (_, index) => ({
    _id: keyOf(projectId, uuidBytes(randomUUID())),
    ...{ time: new Date(index), name: 'left', distinctId: 'ada', receiveTime: new Date(0) },
    properties: Buffer.from('{}'),
  }));
  await eventsOf(destination).insertMany(left);
}

test.serial(
  'events of an earlier stay that the source has deleted are removed in transactions of bounded size',
  async (t) => {
    const world = await copyWorld(t);
    await world.capture([captured({})]);
    const count = 3 * stepBounds.countMax;
    await leaveBehind(world, count);
    const deletes = { operationType: 'delete', 'ns.coll': 'captured_events' };
    const changes = world.destination.watch([{ $match: deletes }]);
    t.teardown(() => changes.close());
    await changes.tryNext(); // from here on it has everything
    const { copy } = await world.start({ digestsOnly: true });
    await copy.verifyAll(signal());
    t.is((await untilEqual(world)).length, 1);
    t.is(copy.progress().rangesRepaired, 0, 'the difference is expected');
    const removed = new Map<string, number>();
    for (let left = count; left > 0; left--) {
      const { lsid, txnNumber } = (await changes.next()) as Document;
      const name = `${lsid.id.toString('hex')} ${txnNumber}`;
      removed.set(name, (removed.get(name) ?? 0) + 1);
    }
    t.true(Math.max(...removed.values()) <= stepBounds.countMax);
  },
);

test.serial(
  'a range with far more events than at the source is compared without reading all of them',
  async (t) => {
    const world = await copyWorld(t);
    const { destination, projectId, migrationId: id } = world;
    await leaveBehind(world, 3 * stepBounds.countMax);
    const copies = createMigrationCopyStore(destination);
    const begun = await copies.open({ id, projectId, digestsOnly: true }, 1, signal());
    const digest = EventDigest.of([Buffer.from('one')]);
    const range = { last: endPlace, digest, events: undefined };
    const copied = await copies.applyRanges(begun, [range], Buffer.alloc(0), signal());
    await destination.command({ profile: 2 });
    const comparison = createMigrationComparison(destination);
    t.is((await comparison.compareSome(copied, 8, signal())).different.length, 1);
    await destination.command({ profile: 0 });
    const ns = `${destination.databaseName}.captured_events`;
    const reads = await destination.collection('system.profile').find({ ns }).toArray();
    const read = reads.reduce((sum, { nreturned = 0 }) => sum + nreturned, 0);
    t.is(read, digest.count + 1);
  },
);

test.serial('with digests only ranges that differ are copied', async (t) => {
  const world = await copyWorld(t);
  const { source, destination, capture } = world;
  await capture(old(150));
  const faithfully = { promoteBuffers: false, promoteValues: false };
  await eventsOf(destination).insertMany(await eventsOf(source).find({}, faithfully).toArray());
  await capture([captured({}, -40.5 * 86_400_000)]);
  await eventsOf(destination).deleteOne({}, {});
  const extra = await eventsOf(source)
    .find({}, { sort: { time: 1 }, skip: 20 })
    .next();
  await eventsOf(source).deleteOne({ time: { $eq: extra?.time } } as never);
  const { copy } = await world.start({ digestsOnly: true });
  await copy.verifyAll(signal());
  t.is((await untilEqual(world)).length, 150);
  const { rangesRepaired, rangesVerified, bytesCopied } = copy.progress();
  t.is(rangesRepaired, 0, 'the difference is expected');
  t.true(rangesVerified >= 5);
  t.true(bytesCopied > 0 && bytesCopied < 0.7 * 150 * text.length);
  await eventsOf(destination).updateOne({}, { $set: { distinctId: 'eve' } });
  await copy.verifyAgain(signal());
  await untilEqual(world);
  t.is(copy.progress().rangesRepaired, 1, 'damage after an equal comparison is not expected');
});

test.serial(
  'a copy whose changes the source has lost scans again, and copies ranges that differ',
  async (t) => {
    const world = await copyWorld(t);
    const { source, peer, capture } = world;
    await capture(old(100));
    const first = new AbortController();
    const { copy: former, running } = await world.start({ signal: first.signal });
    await former.verifyAll(signal());
    const before = former.progress();
    first.abort();
    await running;
    await eventsOf(source).deleteMany({ time: { $lt: new Date('2026-09-15') } });
    await capture([captured({})]);
    let pulls = 0;
    const forgetful: CopySource = {
      ...peer,
      async *pullEvents(request, options) {
        if (++pulls === 1) throw errors.changesCompacted();
        t.is(request.resumeToken.length > 0, pulls > 2);
        yield* peer.pullEvents(request, options);
      },
    };
    const { copy } = await world.start({ fence: 2, peer: forgetful });
    await copy.verifyAll(signal());
    await untilEqual(world);
    t.true(pulls >= 2);
    const { bytesCopied, rangesRepaired } = copy.progress();
    t.true(bytesCopied > before.bytesCopied);
    t.is(rangesRepaired, 0, 'differences by later changes are expected');
  },
);

test.serial(
  'a copy that scans again is not cut over before everything is compared again',
  async (t) => {
    const world = await copyWorld(t);
    const { source, peer, capture } = world;
    await capture(old(100));
    const first = new AbortController();
    const { copy: former, running } = await world.start({ signal: first.signal });
    await former.verifyAll(signal());
    first.abort();
    await running;
    await capture([captured({})]);
    const isForgotten = Promise.withResolvers<void>();
    let mayRepair = false;
    let refused = 0;
    let pulls = 0;
    const forgetful: CopySource = {
      ...peer,
      async *pullEvents(request, options) {
        if (++pulls === 1) {
          await isForgotten.promise;
          throw errors.changesCompacted();
        }
        yield* peer.pullEvents(request, options);
      },
      async *readRange(request, options) {
        if (!mayRepair) {
          refused++;
          throw errors.dependencyUnavailable('the other region');
        }
        yield* peer.readRange(request, options);
      },
    };
    const { copy } = await world.start({ fence: 2, peer: forgetful });
    await copy.verifyAll(signal()); // as for a process that continues after everything was compared
    isForgotten.resolve();
    await eventually(async () => {
      if (pulls < 2 || !copy.progress().isScanned) throw new Error('not scanned again yet');
    });
    await writeFence(world, 1);
    let isCutOver = false;
    const whole = Promise.all([
      copy.untilCaughtUp(60_000, signal()),
      copy.untilFenced(1, signal()),
    ]);
    const cutOver = whole.then(() => {
      isCutOver = true;
    });
    // All scanned ranges have been compared at least once.
    await eventually(async () => {
      if (refused < 2) throw new Error('no range is to be repaired yet');
    });
    t.false(isCutOver, 'an event is missing');
    mayRepair = true;
    await cutOver;
    t.deepEqual(await bytesOfEvents(world.destination), await bytesOfEvents(source));
  },
);

test.serial(
  'a scan that is restarted before the second comparison keeps events that the source has lost',
  async (t) => {
    const world = await copyWorld(t);
    const { source, destination, peer, capture } = world;
    await capture(old(3));
    const [isLost, isCompared] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let pulls = 0;
    const forgetful: CopySource = {
      ...peer,
      async *pullEvents(request, options) {
        if (++pulls > 1) {
          await isCompared.promise;
          yield* peer.pullEvents(request, options);
        }
        for await (const answer of peer.pullEvents(request, options)) {
          yield answer;
          if (answer.step?.$case === 'range' && answer.step.value.last === undefined) break;
        }
        await isLost.promise;
        throw errors.changesCompacted();
      },
    };
    const mayRemove = async () => {
      throw new RangeError('the event must be kept');
    };
    const { copy, running } = await world.start({ peer: forgetful, mayRemove });
    await copy.verifyAll(signal());
    await eventsOf(source).deleteOne({});
    isLost.resolve();
    await eventually(() => {
      if (pulls < 2) throw new Error('not restarted yet');
    });
    const again = copy.verifyAgain(signal());
    isCompared.resolve();
    await t.throwsAsync(again, { name: 'RangeError' });
    await running;
    t.is(await eventsOf(destination).countDocuments(), 3);
  },
);

/** Stores events directly in the source, one per millisecond. */
async function store({ source, projectId }: CopyWorld, count: number, fromMs: number) {
  const documents = Array.from({ length: count }, (_, index) => ({
    _id: keyOf(projectId, uuidBytes(randomUUID())),
    time: new Date(receiveTime.getTime() + fromMs + index),
  }));
  await source.collection<{ _id: object; time: Date }>('captured_events').insertMany(documents);
}

/** Waits until this number of events is copied, and no range is larger than a comparison allows. */
async function untilSmall({ destination }: CopyWorld, events: number): Promise<void> {
  await eventually(async () => {
    const count = await eventsOf(destination).countDocuments();
    if (count !== events) throw new Error(`${count} events`);
    const ranges = destination.collection('migration_ranges');
    const largest = await ranges.findOne({}, { sort: { 'digest.count': -1 } });
    if (largest?.digest.count > 4_000)
      throw new Error(`a range of ${largest?.digest.count} events`);
  });
}

test.serial('a range that differs is copied even if it has as many events as a step', async (t) => {
  const world = await copyWorld(t);
  await store(world, stepBounds.countMax + 1, 1_000);
  const { copy } = await world.start({ digestsOnly: true });
  await copy.verifyAll(signal());
  t.is((await untilEqual(world)).length, stepBounds.countMax + 1);
});

test.serial('ranges with many new captures stay small, and are still compared', async (t) => {
  const world = await copyWorld(t);
  const { destination, capture } = world;
  await capture(old(3));
  const { copy } = await world.start();
  await copy.verifyAll(signal());
  await store(world, 1_500, 1_000);
  await store(world, 4_500, -100_000);
  await untilSmall(world, 6_003);
  await copy.verifyAll(signal());
  const ranges = destination.collection('migration_ranges');
  t.true((await ranges.countDocuments()) >= 5);
  // Into a part of the maximum size of a range.
  await store(world, 1, -99_500);
  await untilEqual(world);
  t.is(await ranges.countDocuments({ 'last.time': new Date(endPlace.timeMs) }), 1);
  t.is(copy.progress().rangesRepaired, 0);
});

test.serial('a large range is split while its events keep changing', async (t) => {
  const world = await copyWorld(t);
  const { source, peer, capture } = world;
  await capture(old(3));
  const isStored = Promise.withResolvers<[Uint8Array, Uint8Array]>();
  let isSplit = false;
  /** Sends all changes at once, and then an event in its old and new version, again and again. */
  const busy: CopySource = {
    ...peer,
    async *pullEvents(request, options) {
      const held: PullEventsResponse[] = [];
      for await (const response of peer.pullEvents(request, options)) {
        held.push(response);
        const changes = held.flatMap(({ step }) =>
          step?.$case === 'changes' ? step.value.uuids : [],
        );
        if (changes.length > 0 && changes.length < 6_000 && !isSplit) continue;
        const versions = changes.length > 0 && !isSplit ? await isStored.promise : [];
        yield* held.splice(0);
        if (versions.length === 0) continue;
        while (!isSplit) {
          for (const version of versions) {
            const uuids = [Buffer.from(new StoredEvent(version).uuidBytes)];
            const value = { uuids, documents: await pack([version]) };
            const step = { $case: 'changes', value } as const;
            yield { step, resumeToken: response.resumeToken, lagMs: 0 };
          }
        }
      }
    },
  };
  const { copy } = await world.start({ peer: busy });
  await copy.verifyAll(signal());
  await store(world, 1_500, 1_000);
  await store(world, 4_500, -100_000);
  const time = new Date(receiveTime.getTime() - 99_000);
  const read = async () => {
    const [document] = await eventsOf(source).find<Uint8Array>({ time }, { raw: true }).toArray();
    if (document === undefined) throw new Error('it is not stored');
    return Buffer.from(document);
  };
  const before = await read();
  await eventsOf(source).updateOne({ time }, { $set: { distinctId: 'eve' } });
  isStored.resolve([before, await read()]);
  await untilSmall(world, 6_003);
  isSplit = true;
  await untilEqual(world);
  t.is(copy.progress().rangesRepaired, 0);
});

test.serial(
  'after a restart the comparison of all ranges continues where it stopped',
  async (t) => {
    const world = await copyWorld(t);
    const { destination, projectId, migrationId: id } = world;
    await world.capture(old(150));
    await pullAll(world);
    const [copies, comparison] = [
      createMigrationCopyStore(destination),
      createMigrationComparison(destination),
    ];
    let checkpoint = await copies.open({ id, projectId, digestsOnly: false }, 1, signal());
    const compare = async (limit: number) =>
      (await comparison.compareSome(checkpoint, limit, signal())).equal.length;
    while ((await compare(8)) > 0);
    await comparison.unverify(checkpoint, signal());
    checkpoint = await copies.compareAgain(checkpoint, signal());
    t.is(await compare(2), 2);
    const damaged = eventsOf(destination);
    const [oldest, newest] = [
      await damaged.findOneAndUpdate({}, { $set: { distinctId: 'eve' } }, { sort: { time: 1 } }),
      await damaged.findOneAndUpdate({}, { $set: { distinctId: 'eve' } }, { sort: { time: -1 } }),
    ];
    const { copy } = await world.start({ fence: 2 });
    await copy.verifyAgain(signal());
    const isDamaged = async (event: typeof oldest) =>
      (await damaged.findOne({ time: event?.time }))?.distinctId === 'eve';
    t.true(await isDamaged(oldest), 'it is in a range that was compared again before the restart');
    t.false(await isDamaged(newest));
    const { rangesRepaired, rangesVerified } = copy.progress();
    t.is(rangesRepaired, 1);
    t.is(rangesVerified, await destination.collection('migration_ranges').countDocuments());
  },
);

test.serial(
  'a copy that failed because a range kept differing continues after a retry',
  async (t) => {
    const world = await copyWorld(t);
    const { destination, capture, start } = world;
    await capture(old(40));
    const first = new AbortController();
    const { copy, running } = await start({ signal: first.signal });
    await copy.verifyAll(signal());
    first.abort();
    await running;
    // As after five repairs that were each damaged.
    const failing = { $set: { repairs: 5, isVerified: false } };
    await destination.collection('migration_ranges').updateMany({}, failing);
    await eventsOf(destination).updateMany({}, { $set: { distinctId: 'eve' } });
    const second = await start({ fence: 2 });
    t.like(await second.running, { name: 'CopyDiffers' });
    const retried = await start({ fence: 3 });
    await retried.copy.verifyAll(signal());
    await untilEqual(world);
  },
);

test.serial('a scan with digests, and what it copies again, count towards the rate', async (t) => {
  const world = await copyWorld(t);
  const { source, capture, start } = world;
  await capture(old(80));
  const stored = await eventsOf(source).find<Uint8Array>({}, { raw: true }).toArray();
  const total = stored.reduce((sum, { length }) => sum + length, 0);
  let spent = 0;
  const rate = {
    set: () => {},
    spend: async (bytes: number) => {
      spent += bytes;
    },
  };
  const { copy } = await start({ digestsOnly: true, rate });
  await copy.verifyAll(signal());
  await untilEqual(world);
  t.is(copy.progress().bytesCopied, total);
  t.is(spent, 2 * total, 'the source has read each event twice');
});
