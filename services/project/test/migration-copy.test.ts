import { randomUUID } from 'node:crypto';
import { errors } from '@silo/errors/errors.ts';
import { transact } from '@silo/mongo/transaction-retry.ts';
import { fakeClock } from '@silo/runtime/test/fake-clock.ts';
import { newId } from '@silo/tokens/ids.ts';
import test from 'ava';
import { Binary, BSON, Decimal128, Double, Int32, Long } from 'mongodb';
import { eventually } from '../../../test/harness/eventually.ts';
import type { CopySource } from '../migration/copy-types.ts';
import { EventDigest } from '../rules/events/event-digest.ts';
import { endPlace } from '../rules/events/event-range.ts';
import { EventBytes } from '../store/copied-events.ts';
import { keyOf, uuidBytes } from '../store/event-collection.ts';
import { createMigrationComparison } from '../store/migration-comparison.ts';
import { createMigrationCopyStore } from '../store/migration-copy.ts';
import { captured } from './event-support.ts';
import {
  bytesOfEvents,
  copyWorld,
  eventsOf,
  old,
  signal,
  untilEqual,
  writeFence,
} from './migration-copy-support.ts';

/** A source that calls back before each response of a pull. */
function interposed(peer: CopySource, onAnswer: (count: number) => Promise<void>): CopySource {
  let count = 0;
  return {
    ...peer,
    async *pullEvents(request, options) {
      for await (const answer of peer.pullEvents(request, options)) {
        await onAnswer(count++);
        yield answer;
      }
    },
  };
}

function mapOf(...names: string[]): Map<string, number> {
  return new Map(names.map((name, index) => [name, index]));
}

/** A document with an additional field at its end. */
function withField(document: Uint8Array, field: Uint8Array): Buffer {
  const longer = Buffer.concat([document.subarray(0, -1), field, Buffer.alloc(1)]);
  longer.writeInt32LE(longer.length);
  return longer;
}

test.serial('a copy has every event of the project, byte by byte, and no others', async (t) => {
  const world = await copyWorld(t);
  const { source, destination, projectId, capture } = world;
  await capture([...old(100), captured({ $host: 'a', emoji: '😀 \u0000', n: 1.5 })]);
  const odd = {
    receiveTime: new Date(0),
    name: '\u0000é',
    distinctId: '',
    properties: Buffer.alloc(3),
  };
  const id = () => keyOf(projectId, uuidBytes(randomUUID()));
  const time = new Date('2026-01-01T00:00:00.123Z');
  // Captures do not write this today, but it must not be lost either.
  await source.collection<{ _id: object; [field: string]: unknown }>('captured_events').insertMany([
    { ...odd, _id: id(), time, x0: new Double(2), x1: new Int32(2), x2: Long.fromNumber(2) },
    { ...odd, _id: id(), time, x0: new Binary(Buffer.alloc(0)), x1: null, x2: new Double(-0) },
    { ...odd, _id: id(), time, x0: Decimal128.fromString('1.10'), x1: [true, { a: 1 }], x2: 'NaN' },
    { ...odd, _id: id(), time, x0: new Binary(Buffer.from('a'), 0x80), x1: Number.NaN },
    { ...odd, _id: id(), time: new Date('0001-01-01T00:00:00Z') },
    // Objects would have these in another order.
    { ...odd, _id: id(), time, x0: mapOf('b', '10', '2') },
    { ...odd, _id: id(), time, x0: mapOf('a', '$id', '$ref') },
  ]);
  const expected = await bytesOfEvents(source);
  await capture([captured({})], newId('prj'));
  const { copy } = await world.start();
  await copy.untilScanned(signal());
  t.deepEqual(await bytesOfEvents(destination), expected);
  await copy.verifyAll(signal());
  const { rangesVerified, rangesRepaired, eventsCopied } = copy.progress();
  t.true(rangesVerified > 3);
  t.deepEqual({ rangesRepaired, eventsCopied }, { rangesRepaired: 0, eventsCopied: 108 });
  await copy.untilCaughtUp(5_000, signal());
});

test.serial(
  'while nothing changes, ranges arrive without steps between them, and carry the token',
  async (t) => {
    const { capture, peer, migrationId } = await copyWorld(t);
    await capture(old(100));
    const request = { migrationId, after: undefined, isScanned: false, digestsOnly: false };
    const over = new AbortController();
    const steps = [];
    const pulled = peer.pullEvents({ ...request, resumeToken: Buffer.alloc(0) }, over);
    for await (const { step, resumeToken } of pulled) {
      steps.push(step?.$case);
      t.true(resumeToken.length > 0);
      if (step?.$case === 'range' && step.value.last === undefined) break;
    }
    over.abort();
    // The first step contains the changes since the pull began.
    t.deepEqual(new Set(steps.slice(1)), new Set(['range']));
    t.true(steps.length > 4);
  },
);

test.serial('a project without events is copied', async (t) => {
  const world = await copyWorld(t);
  const { copy } = await world.start();
  await copy.verifyAll(signal());
  await world.capture([captured({})]);
  t.is((await untilEqual(world)).length, 1);
});

test.serial(
  'events that change during the scan, before or after its place, are equal in the end',
  async (t) => {
    const world = await copyWorld(t);
    const { source, projectId, capture, peer } = world;
    const events = old(150);
    await capture(events);
    const all = eventsOf(source);
    const idAt = (index: number) => keyOf(projectId, uuidBytes(events[index]?.uuid ?? ''));
    const again = async (index: number, days: number) => {
      const event = events[index];
      if (event === undefined) throw new RangeError(`no event ${index}`);
      await all.deleteOne({ _id: idAt(index) });
      await capture([{ ...event, time: new Date(event.time.getTime() + days * 86_400_000) }]);
    };
    const change = async (answer: number) => {
      const index = answer * 7;
      await all.deleteMany({ _id: { $in: [idAt(index), idAt(149 - index)] } });
      await all.updateOne({ _id: idAt(index + 1) }, { $set: { x7: answer } });
      await all.updateOne({ _id: idAt(148 - index) }, { $unset: { x0: '' }, $set: { x8: 'new' } });
      await again(index + 2, 140 - index);
      await again(147 - index, index - 140);
      await capture([captured({ answer }), captured({ answer }, -answer * 20 * 86_400_000)]);
    };
    const changing = interposed(peer, async (count) => {
      if (count < 8) await change(count);
    });
    const { copy } = await world.start({ peer: changing });
    await copy.untilScanned(signal());
    await change(9);
    await writeFence(world, 1);
    await copy.untilFenced(1, signal());
    t.deepEqual(await bytesOfEvents(world.destination), await bytesOfEvents(source));
    await copy.verifyAll(signal());
    t.is(copy.progress().rangesRepaired, 0);
    t.true(copy.progress().changesApplied > 20);
  },
);

test.serial(
  'the lag of a copy includes the time that a change waits at the destination',
  async (t) => {
    const world = await copyWorld(t);
    const clock = fakeClock();
    const waitedMs = 60_000;
    /** The last step is received, waits while the clock advances, and is applied. */
    const peer: CopySource = {
      ...world.peer,
      async *pullEvents(request, options) {
        for await (const answer of world.peer.pullEvents(request, options)) {
          yield answer;
          if (answer.step?.$case !== 'changes' || answer.step.value.uuids.length === 0) continue;
          clock.advance(waitedMs);
          await new Promise(() => {});
        }
      },
    };
    const { copy } = await world.start({ peer, clock });
    await copy.verifyAll(signal());
    await world.capture(old(1));
    await untilEqual(world);
    const { lagMs } = await eventually(() => {
      const progress = copy.progress();
      if (progress.changesApplied === 0) throw new Error('nothing is applied');
      return progress;
    });
    t.true(lagMs >= waitedMs, `${lagMs} ms`);
  },
);

test.serial(
  'a copy can pause after ranges and comparisons, and notes changes as use',
  async (t) => {
    const world = await copyWorld(t);
    await world.capture(old(100));
    const pauses = { ranges: 0, comparisons: 0 };
    let dependencies = 0;
    const spare = {
      noteUse: () => {
        dependencies++;
      },
      pauseAfter: async ({ lagMs }: { lagMs?: number }) => {
        pauses[lagMs === undefined ? 'comparisons' : 'ranges']++;
      },
    };
    const { copy } = await world.start({ spare });
    await copy.verifyAll(signal());
    t.true(pauses.ranges > 0);
    t.true(pauses.comparisons > 0);
    t.is(dependencies, 0);
    const scanned = pauses.ranges;
    await world.capture(old(1));
    await eventually(() => {
      if (dependencies === 0) throw new Error('no change is noted');
    });
    t.is(pauses.ranges, scanned, 'not after changes');
  },
);

test.serial('a copy that is interrupted at any step continues from there', async (t) => {
  const world = await copyWorld(t);
  await world.capture(old(150));
  let broken = 0;
  const breaking = interposed(world.peer, async (count) => {
    if (count % 3 === 2 && broken < 4) {
      broken++;
      await world.capture([captured({ broken }), captured({ broken }, -broken * 86_400_000 * 30)]);
      throw errors.dependencyUnavailable('the other region');
    }
  });
  const { copy } = await world.start({ peer: breaking });
  await copy.verifyAll(signal());
  t.is((await untilEqual(world)).length, 158);
  t.is(broken, 4);
  t.is(copy.progress().rangesRepaired, 0);
});

test.serial('a process whose copy another one has taken over cannot write any more', async (t) => {
  const world = await copyWorld(t);
  await world.capture(old(10));
  const first = await world.start({ fence: 1 });
  await first.copy.verifyAll(signal());
  const second = await world.start({ fence: 2 });
  await world.capture([captured({})]);
  const ended = await first.running;
  t.true(ended instanceof Error && ended.name === 'CopySuperseded');
  await t.throwsAsync(first.copy.untilFenced(1, signal()), { name: 'CopySuperseded' });
  await second.copy.verifyAll(signal());
  t.is((await untilEqual(world)).length, 11);
  await t.throwsAsync(world.start({ fence: 1 }), { name: 'CopySuperseded' });
});

test.serial('an event with a key of another project is not stored', async (t) => {
  const { destination, projectId, migrationId: id } = await copyWorld(t);
  const copies = createMigrationCopyStore(destination);
  const begun = await copies.open({ id, projectId, digestsOnly: false }, 1, signal());
  const uuid = uuidBytes(randomUUID());
  const own = keyOf(projectId, uuid);
  const field = (name: string) => BSON.serialize({ [name]: newId('prj') }).subarray(4, -1);
  const keys = [
    BSON.serialize(keyOf(newId('prj'), uuid)),
    BSON.serialize({ project: projectId, uuid }),
    BSON.serialize({ ...own, more: 1 }),
    BSON.serialize({ uuid: own.uuid, project: projectId }),
    // The first of two fields of one name counts for the database, the last one for the driver.
    withField(BSON.serialize(own), field('project')),
  ];
  for (const key of keys) {
    const time = BSON.serialize({ time: new Date(1) }).subarray(4, -1);
    const named = Buffer.concat([Buffer.from('\x03_id\0'), key]);
    const foreign = withField(withField(BSON.serialize({}), named), time);
    const sent = [BSON.serialize({ _id: own, time: new Date(1) }), foreign];
    const digest = EventDigest.of(sent);
    const events = sent.map((document) => new EventBytes(document));
    const range = { last: endPlace, digest, events };
    const stored = copies.applyRanges(begun, [range], Buffer.alloc(0), signal());
    await t.throwsAsync(stored, { name: 'CopyDiffers' });
  }
  t.deepEqual(await bytesOfEvents(destination), []);
});

test.serial(
  'an event that was moved while its range was read is stored once, at its new place',
  async (t) => {
    const { destination, projectId, migrationId: id } = await copyWorld(t);
    const [moved, other] = [randomUUID(), randomUUID()];
    const documents = [moved, other, moved].map((uuid, index) =>
      BSON.serialize({ _id: keyOf(projectId, uuidBytes(uuid)), time: new Date(index) }),
    );
    const digest = EventDigest.of(documents);
    const events = documents.map((document) => new EventBytes(document));
    const copies = createMigrationCopyStore(destination);
    const begun = await copies.open({ id, projectId, digestsOnly: false }, 1, signal());
    const range = { last: endPlace, digest, events };
    const copied = await copies.applyRanges(begun, [range], Buffer.alloc(0), signal());
    const stored = await eventsOf(destination).find().sort({ time: 1 }).toArray();
    t.deepEqual(
      stored.map(({ time }) => time.getTime()),
      [1, 2],
    );
    const endless = await destination.collection('migration_ranges').findOne({});
    t.deepEqual(endless?.highest.time, new Date(2), 'a range is cut after its last event');
    const compared = await createMigrationComparison(destination).compareSome(copied, 8, signal());
    t.is(compared.equal.length, 1);
  },
);

test.serial('after the activation of the project no process can write for the copy', async (t) => {
  const { destination, projectId, migrationId: id } = await copyWorld(t);
  const copies = createMigrationCopyStore(destination);
  const begun = await copies.open({ id, projectId, digestsOnly: false }, 1, signal());
  await transact(destination.client, { signal: signal() }, (session) =>
    copies.end({ session }, id),
  );
  const range = { last: endPlace, digest: new EventDigest(), events: [] };
  const late = copies.applyRanges(begun, [range], Buffer.alloc(0), signal());
  await t.throwsAsync(late, { name: 'CopyAhead' });
  const later = copies.open({ id, projectId, digestsOnly: false }, 2, signal());
  await t.throwsAsync(later, { name: 'CopySuperseded' });
});
