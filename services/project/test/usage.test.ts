import { newId } from '@silo/tokens/ids.ts';
import test from 'ava';
import { eventually } from '../../../test/harness/eventually.ts';
import { Storing } from '../capture/storing.ts';
import { foldDue } from '../loops/fold-usage.ts';
import { dayIn, daysOf, startOfDay, usageBytes } from '../rules/usage.ts';
import type { EventBatch } from '../store/event-collection.ts';
import type { UsageDocument, UsagePosition, UsageStore } from '../store/usage.ts';
import { captured, heldPermit, insert } from './event-support.ts';
import { testWorld } from './support.ts';

const { signal } = new AbortController();
const days = { first: new Date('2026-11-01'), last: new Date('2026-11-30') };
const now = new Date('2026-11-30T12:00:00.000Z');

async function all(usage: UsageStore, organizationId: string, { projectId = '', size = 100 } = {}) {
  const found = [];
  let after: UsagePosition | undefined;
  do {
    const page = await usage.list(organizationId, { projectId, days, after, size }, signal);
    found.push(...page.items);
    after = page.hasMore ? page.items.at(-1) : undefined;
  } while (after !== undefined);
  return found;
}

test('a request has 1-366 days, by default the last 30', (t) => {
  const today = startOfDay(now);
  t.deepEqual(daysOf({ firstDay: '', lastDay: '' }, now), {
    first: new Date('2026-11-01'),
    last: today,
  });
  t.deepEqual(daysOf({ firstDay: '2024-02-29', lastDay: '2024-02-29' }, now), {
    first: new Date('2024-02-29'),
    last: new Date('2024-02-29'),
  });
  for (const [firstDay, lastDay] of [
    ['2026-11-30', '2026-11-29'],
    ['2024-01-01', '2026-01-01'],
    ['2026-02-30', ''],
    ['', '2026-1-1'],
    ['', '+123456789'],
  ] as const) {
    t.throws(
      () => daysOf({ firstDay, lastDay }, now),
      { message: /day/ },
      `${firstDay} ${lastDay}`,
    );
  }
  t.is(dayIn('1969-12-31', 'last_day').getTime(), startOfDay(new Date(-1)).getTime());
});

test('usage counts stored events: a duplicate is not counted again', async (t) => {
  const { captured: store, usage } = await testWorld(t);
  const [projectId, organizationId] = [newId('prj'), newId('org_us')];
  const batch = Array.from({ length: 20 }, (_, index) => captured({ text: 'ü'.repeat(index) }));
  const some = batch.slice(0, 5);
  t.deepEqual(await insert(store, projectId, some, { organizationId }), Array(5).fill(false));
  const twice = [...batch, ...batch.slice(15)];
  const isThere = await insert(store, projectId, twice, { organizationId });
  t.deepEqual(isThere, [...Array(5).fill(true), ...Array(15).fill(false), ...Array(5).fill(true)]);
  t.true((await insert(store, projectId, batch, { organizationId })).every((there) => there));
  const bytes = batch.reduce((sum, event) => sum + usageBytes(event), 0);
  const day = new Date('2026-11-29');
  t.deepEqual(await all(usage, organizationId), [{ project: projectId, day, events: 20, bytes }]);
});

test('batches in one transaction have the same results as separate ones', async (t) => {
  const { captured: store, usage } = await testWorld(t);
  const [projectId, otherId, organizationId] = [newId('prj'), newId('prj'), newId('org_us')];
  const storing = new Storing(store);
  const event = captured({});
  const receiveTime = new Date('2026-11-29T23:59:59.999Z');
  const put = (project: string, events: EventBatch['events']) =>
    storing.store(
      { projectId: project, organizationId, receiveTime, generation: 0, events },
      { bytes: 1_000, permit: { ...heldPermit } },
      { signal, authorization: undefined },
    );
  const answers = await Promise.all([
    put(projectId, [event]),
    put(otherId, [event, captured({})]),
    put(projectId, [event, captured({})]),
    put(projectId, [captured({})]),
    put(projectId, []),
  ]);
  t.deepEqual(answers, [[false], [false, false], [true, false], [false], []]);
  const counts = (await all(usage, organizationId)).map(({ project, events }) => [project, events]);
  t.deepEqual(Object.fromEntries(counts), { [projectId]: 3, [otherId]: 2 });
});

test('a batch with an expired permit is refused, and those that wait with it are stored', async (t) => {
  const { captured: store, usage } = await testWorld(t);
  const [projectId, organizationId] = [newId('prj'), newId('org_us')];
  const storing = new Storing(store);
  const put = (isOver: () => boolean) =>
    storing.store(
      { projectId, organizationId, receiveTime: now, generation: 0, events: [captured({})] },
      {
        bytes: 1_000,
        permit: {
          remainingMs: () => (isOver() ? 0 : 9_000),
          release() {},
        },
      },
      { signal, authorization: undefined },
    );
  let asked = 0;
  const outcomes = await Promise.allSettled([
    put(() => false),
    put(() => false),
    // Expires only after its group has begun.
    put(() => asked++ > 1),
    put(() => true),
    put(() => false),
  ]);
  t.deepEqual(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'rejected', 'rejected', 'fulfilled'],
  );
  t.is((await all(usage, organizationId))[0]?.events, 3);
});

test('one group is written while the previous one is committed, and no others run', async (t) => {
  const groups: { batches: readonly EventBatch[]; onWritten(): void; commit(): void }[] = [];
  const storing = new Storing({
    insert: async (batches, { onWritten = () => {} }) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      groups.push({ batches, onWritten, commit: resolve });
      await promise;
      return batches.map(({ events }) => events.map(() => false));
    },
  });
  const put = () =>
    storing.store(
      {
        ...{ projectId: 'prj_x', organizationId: 'org_us_x', receiveTime: now, generation: 0 },
        events: [captured({})],
      },
      { bytes: 1_000, permit: heldPermit },
      { signal, authorization: undefined },
    );
  const sizes = () => groups.map(({ batches }) => batches.length);
  const first = put();
  const second = [put(), put()];
  t.deepEqual(sizes(), [1]);
  groups[0]?.onWritten();
  t.deepEqual(sizes(), [1, 2]);
  const third = put();
  groups[1]?.onWritten();
  t.deepEqual(sizes(), [1, 2]);
  groups[0]?.commit();
  t.deepEqual(await first, [false]);
  await eventually(() => {
    if (groups.length < 3) throw new Error('the third has not begun');
  });
  t.deepEqual(sizes(), [1, 2, 1]);
  for (const { commit } of groups) commit();
  t.deepEqual(await Promise.all([...second, third]), [[false], [false], [false]]);
});

test('counters of past days are folded once, and lists stay the same', async (t) => {
  const { db, captured: store, usage } = await testWorld(t);
  const [organizationId, otherId] = [newId('org_us'), newId('org_us')];
  const projects = [newId('prj'), newId('prj')];
  const batches = ['2026-11-28', '2026-11-29', '2026-11-30'].flatMap((day) =>
    projects.map((projectId) => ({ projectId, organizationId, day })),
  );
  const write = async (events: number) => {
    const each = batches.map(({ day, ...ids }) =>
      store.insert(
        [
          {
            ...ids,
            receiveTime: new Date(`${day}T12:00:00Z`),
            generation: 0,
            events: Array.from({ length: events }, () => captured({})),
          },
        ],
        { permits: [heldPermit], signal },
      ),
    );
    await Promise.all(each);
  };
  await write(2);
  await write(3);
  await insert(store, projects[0] ?? '', [captured({})], { organizationId: otherId });
  const before = await all(usage, organizationId);
  t.deepEqual(
    before.map(({ events }) => events),
    Array(6).fill(5),
  );
  const clock = { now: () => now, monotonicMs: () => 0 };
  const fold = () => foldDue({ usage, clock } as never, signal);
  await Promise.all([fold(), fold(), fold()]);
  t.deepEqual(await all(usage, organizationId), before);
  t.deepEqual(await all(usage, organizationId, { size: 1 }), before);
  const [projectId = ''] = projects;
  t.deepEqual(
    await all(usage, organizationId, { projectId, size: 2 }),
    before.filter(({ project }) => project === projectId),
  );
  const parts = db.collection<UsageDocument>('usage');
  t.is(await parts.countDocuments({ open: true, '_id.day': { $lt: new Date('2026-11-30') } }), 0);
  t.is(await parts.countDocuments({ '_id.writer': '' }), 5);
  // A transaction that commits after midnight.
  await write(1);
  await fold();
  t.is((await all(usage, organizationId))[0]?.events, 6);
});
