import { randomUUID } from 'node:crypto';
import { PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import { newId } from '@silo/tokens/ids.ts';
import test from 'ava';
import type { Document } from 'mongodb';
import type { Grouping, GroupKey } from '../rules/events/counting.ts';
import { type CheckedFilter, checkFilter, isExact } from '../rules/events/filter.ts';
import { countPipeline, type EventCounts } from '../store/event-counts.ts';
import { type EventPosition, eventQueries } from '../store/event-queries.ts';
import { captured, condition, insert, receiveTime, stagesOf } from './event-support.ts';
import { testWorld } from './support.ts';

const { PROPERTY_OPERATOR_EQUAL: equal, PROPERTY_OPERATOR_IN: oneOf } = PropertyOperator;
const { PROPERTY_OPERATOR_EXISTS: exists } = PropertyOperator;
const all = checkFilter(undefined);
const range = { startTime: new Date(receiveTime.getTime() - 40), endTime: receiveTime };
const hour: Grouping = { by: 'hour', timeZone: 'UTC' };
const byHost: Grouping = { by: 'property', property: '$host' };

/** What MongoDB counts, by which index, and whether it reads only the index. */
const shapes: [what: string, filter: CheckedFilter, grouping: Grouping, covered: boolean][] = [
  ['everything', all, { by: 'total' }, true],
  ['hours', { ...all, ...range }, hour, true],
  ['hours of one name', { ...all, names: ['seen'] }, hour, true],
  ['days of a distinct id', { ...all, distinctId: 'ada' }, { ...hour, by: 'day' }, true],
  ['hours of a host', condition('$host', equal, '"a"'), hour, true],
  [
    'hours of hosts and names',
    { ...condition('$host', oneOf, '"a"', 'null'), names: ['seen'] },
    hour,
    false,
  ],
  ['names', { ...all, ...range }, { by: 'name' }, false],
  ['hosts', all, byHost, false],
];

for (const [what, filter, grouping, covered] of shapes) {
  test(`a count of ${what} uses an index that begins with the project`, async (t) => {
    const { db, captured: store } = await testWorld(t);
    const events = db.collection('captured_events');
    const [projectId, other] = [newId('prj'), newId('prj')];
    for (const id of [projectId, other]) {
      const batch = Array.from({ length: 50 }, (_, index) => captured({ $host: 'a' }, -index));
      await insert(store, id, batch);
    }
    t.true(isExact(filter));
    const last = { time: new Date(receiveTime.getTime() - 1), uuid: randomUUID() };
    for (const query of [undefined, last].flatMap((place) =>
      eventQueries(projectId, filter, place),
    )) {
      const pipeline = countPipeline(query, filter, grouping, 1_000);
      const explained = await events
        .aggregate(pipeline, { hint: query.hint })
        .explain('executionStats');
      const planned = explained.stages?.[0]?.$cursor ?? explained;
      const winning = planned.queryPlanner.winningPlan;
      const stages = stagesOf(winning.queryPlan ?? winning);
      const names = stages.map(({ stage }: Document) => String(stage));
      t.false(
        names.some((name) => ['COLLSCAN', 'SORT'].includes(name)),
        names.join(),
      );
      t.is(names.includes('FETCH'), !covered, names.join());
      const scans = stages.filter(({ stage }: Document) => stage === 'IXSCAN');
      t.true(scans.length > 0);
      for (const { keyPattern } of scans) t.is(Object.keys(keyPattern)[0], '_id.project');
      const { totalKeysExamined } = planned.executionStats;
      t.true(totalKeysExamined <= 60, `${totalKeysExamined}: no keys of the other project`);
    }
  });
}

/** All pages added up, as a client does. */
async function countAll(
  counts: EventCounts,
  projectId: string,
  filter: CheckedFilter,
  { grouping, size }: { grouping: Grouping; size: number },
) {
  const groups = new Map<string, number>();
  const sums = { total: 0, others: 0, absent: 0, pages: 0 };
  let after: EventPosition | undefined;
  do {
    const wanted = { grouping, deletions: [], after, size };
    const page = await counts.count(projectId, filter, wanted, AbortSignal.timeout(600_000));
    for (const { key, count } of page.groups) {
      groups.set(textOf(key), (groups.get(textOf(key)) ?? 0) + count);
    }
    sums.total += page.total;
    sums.others += page.others;
    sums.absent += page.absent;
    sums.pages++;
    after = page.next;
  } while (after !== undefined);
  return { groups: Object.fromEntries([...groups].sort()), ...sums };
}

const textOf = (key: GroupKey) => (key instanceof Date ? key.toISOString() : JSON.stringify(key));

test('counts of MongoDB and of the process agree for every page size', async (t) => {
  const { captured: store, eventCounts } = await testWorld(t);
  const projectId = newId('prj');
  const hosts = ['a', 'b', 'b', null, 1, 1.5, true, { a: 1 }, 'x'.repeat(300), undefined];
  const halfHourMs = 30 * 60_000;
  const batch = Array.from({ length: 200 }, (_, index) =>
    captured({ $host: hosts[index % hosts.length], same: 1 }, -halfHourMs * (index >> 1)),
  );
  await insert(store, projectId, batch);
  const old = captured(
    { $host: 'old', same: 1 },
    Date.parse('1931-05-05T05:05:05Z') - receiveTime.getTime(),
  );
  await insert(store, projectId, [old]);
  const inProcess = condition('same', exists);
  t.true(isExact(all) && !isExact(inProcess));
  const groupings: Grouping[] = [
    { by: 'total' },
    hour,
    { by: 'day', timeZone: 'Europe/Amsterdam' },
    { by: 'hour', timeZone: 'Asia/Kathmandu' },
    { by: 'name' },
    byHost,
  ];
  for (const grouping of groupings) {
    const whole = await countAll(eventCounts, projectId, all, { grouping, size: 1_000 });
    t.is(whole.total, 201);
    for (const [filter, size] of [
      [inProcess, 1_000],
      [inProcess, 7],
      [all, 7],
    ] as const) {
      const { pages, ...found } = await countAll(eventCounts, projectId, filter, {
        grouping,
        size,
      });
      const { pages: _, ...expected } = whole;
      if (found.others === 0) t.deepEqual(found, expected, grouping.by);
      else
        t.is(
          Object.values(found.groups).reduce((a, b) => a + b, 0) + found.others + found.absent,
          201,
        );
      if (grouping.by === 'hour') t.is(pages > 1, size === 7);
    }
  }
  const byValue = await countAll(eventCounts, projectId, all, { grouping: byHost, size: 1_000 });
  t.like(byValue, { absent: 40, others: 0, groups: { '"b"': 40, null: 20, '1': 20, true: 20 } });
  t.is(byValue.groups[JSON.stringify('x'.repeat(256))], 20);
});

test('an index decides a filter only if it finds nothing else', (t) => {
  const rows: [PropertyOperator, string, boolean][] = [
    [equal, '"a"', true],
    [equal, 'null', true],
    [equal, 'true', true],
    [equal, '1', false],
    [equal, '"\\ufffd"', false],
    [equal, JSON.stringify('x'.repeat(256)), false],
    [exists, '', false],
  ];
  for (const [operator, value, exact] of rows) {
    t.is(isExact(condition('$host', operator, ...(value ? [value] : []))), exact, value);
  }
  t.false(isExact(condition('plan', equal, '"a"')));
});
