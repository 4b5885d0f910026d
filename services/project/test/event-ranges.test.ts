/** LESS, GREATER and PREFIX on indexed properties: the ranges, and how they are used. */
import { PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import { newId } from '@silo/tokens/ids.ts';
import test from 'ava';
import fc from 'fast-check';
import { matches } from '../rules/events/filter.ts';
import { indexable, indexedTextMax, placesWith } from '../rules/events/indexed-properties.ts';
import { type IndexedRange, indexedRanges } from '../rules/events/indexed-ranges.ts';
import { ParsedProperties } from '../rules/events/parsed-properties.ts';
import type { CapturedEventDocument } from '../store/event-collection.ts';
import { narrowFor, scanBounds } from '../store/event-queries.ts';
import { narrowMax } from '../store/narrow-range.ts';
import { captured, condition, insert, receiveTime } from './event-support.ts';
import { testWorld } from './support.ts';

const { PROPERTY_OPERATOR_LESS: less, PROPERTY_OPERATOR_GREATER: greater } = PropertyOperator;
const { PROPERTY_OPERATOR_PREFIX: prefix, PROPERTY_OPERATOR_IN: oneOf } = PropertyOperator;
const { PROPERTY_OPERATOR_EXISTS: exists, PROPERTY_OPERATOR_NOT_EQUAL: not } = PropertyOperator;
const chosen = placesWith([{ name: 'plan', place: 2 }]);

function isWithin({ least, most, except }: IndexedRange, value: unknown): boolean {
  if (value === except) return false;
  if (typeof value === 'number' && typeof least === 'number' && typeof most === 'number') {
    return least <= value && value <= most;
  }
  if (typeof value !== 'string' || typeof least !== 'string' || typeof most !== 'string') {
    return false;
  }
  // The order of texts in MongoDB.
  const bytes = (text: string) => Buffer.from(text);
  return bytes(least).compare(bytes(value)) <= 0 && bytes(value).compare(bytes(most)) <= 0;
}

/**
 * Texts with equal beginnings, texts that end or are torn at the cut, and texts that sort
 * differently in UTF-8 and UTF-16.
 */
const characters = [
  'a',
  'b',
  '\uffff',
  '\ufffd',
  '\u{1f600}',
  '\u{10ffff}',
  '\ud83d',
  '\ude00',
  '\0',
];
const texts = fc
  .tuple(
    fc.constantFrom(0, indexedTextMax - 3, indexedTextMax - 2, indexedTextMax - 1, indexedTextMax),
    fc.array(fc.constantFrom(...characters), { maxLength: 4 }),
  )
  .map(([length, ends]) => 'a'.repeat(length) + ends.join(''));
const numbers = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer());
const scalars = fc.oneof(texts, numbers);

test('the indexed forms of all matching values are within the range', (t) => {
  const operators = fc.constantFrom(less, greater, prefix);
  const property = fc.property(scalars, scalars, operators, (value, operand, operator) => {
    if (operator === prefix && typeof operand === 'number') return;
    const filter = condition('$host', operator, JSON.stringify(operand));
    const properties = JSON.stringify({ $host: value });
    const parsed = new ParsedProperties(() => properties);
    const event = { name: 'seen', distinctId: 'ada', time: receiveTime, parsed };
    if (!matches(filter, event)) return;
    for (const range of indexedRanges(filter).get(0) ?? []) {
      if (!isWithin(range, indexable(value))) throw new Error(JSON.stringify(range));
    }
  });
  t.notThrows(() => fc.assert(property, { numRuns: 20_000 }));
});

test('a range is as narrow as the condition if the value is indexed in full', (t) => {
  const greatest = '\u{10ffff}'.repeat(indexedTextMax / 2);
  const rows: [PropertyOperator, string, IndexedRange | undefined][] = [
    [less, '"b"', { least: '', most: 'b', except: 'b' }],
    [greater, '"b"', { least: 'b', most: greatest, except: 'b' }],
    [prefix, '"b"', { least: 'b', most: `b${greatest}` }],
    [less, '5', { least: Number.NEGATIVE_INFINITY, most: 5 }],
    [greater, '5', { least: 5, most: Number.POSITIVE_INFINITY }],
    [prefix, '"\\ud83d"', undefined],
    [not, '"b"', undefined],
    [oneOf, '"b"', undefined],
  ];
  for (const [operator, value, range] of rows) {
    t.deepEqual(indexedRanges(condition('$host', operator, value)).get(0), range && [range]);
  }
  t.is(indexedRanges(condition('$host', exists)).size, 0);
  t.is(indexedRanges(condition('plan', less, '"b"')).size, 0, 'it has no index');
});

test('a bounded part of the index decides whether a range contains few events', async (t) => {
  const { db, captured: store, indexes } = await testWorld(t);
  await indexes.createPlace(2, AbortSignal.timeout(600_000));
  const events = db.collection<CapturedEventDocument>('captured_events');
  const [projectId, signal] = [newId('prj'), AbortSignal.timeout(600_000)];
  const batch = Array.from({ length: narrowMax + 50 }, (_, index) =>
    captured(
      { $host: `a${index % 3}`, $current_url: `u${index}`, plan: index % 100 },
      -index,
      chosen,
    ),
  );
  await insert(store, projectId, batch);
  await insert(store, newId('prj'), batch.slice(0, 1));
  const between = {
    ...condition('plan', greater, '1'),
    places: chosen,
    conditions: [condition('plan', greater, '1'), condition('plan', less, '9')].flatMap(
      ({ conditions }) => conditions,
    ),
  };
  t.is((await narrowFor(events, projectId, between, signal))?.place, 2);
  t.is((await narrowFor(events, projectId, condition('$host', prefix, '"a1"'), signal))?.place, 0);
  t.is(await narrowFor(events, projectId, condition('$host', prefix, '"a"'), signal), undefined);
  const wide = condition('$current_url', prefix, '"u"');
  t.is(await narrowFor(events, projectId, wide, signal), undefined);
  // The command that the driver sends for `countDocuments`.
  const $match = { '_id.project': projectId, $and: [{ x1: { $gte: 'u', $lte: 'v' } }] };
  const explained = await events
    .aggregate([{ $match }, { $limit: 11 }, { $group: { _id: 1, n: { $sum: 1 } } }], {
      hint: 'by_x1',
    })
    .explain('executionStats');
  const { executionStats } = explained.stages?.[0]?.$cursor ?? explained;
  t.true(executionStats.totalKeysExamined <= 12, `${executionStats.totalKeysExamined} keys`);
  t.is(executionStats.totalDocsExamined, 0);
  const named = { ...condition('$host', prefix, '"a1"'), names: ['seen'] };
  t.is(await narrowFor(events, projectId, named, signal), undefined);
});

test('a page reads a range with few events by its index, and one with many by time', async (t) => {
  const { captured: store, eventQueries: reader } = await testWorld(t);
  const [projectId, signal] = [newId('prj'), AbortSignal.timeout(600_000)];
  const count = scanBounds.countMax + 10;
  const batch = Array.from({ length: count }, (_, index) =>
    captured(
      { $host: index < count - 2 ? 'a' : `b${index}`, $current_url: `u${index % 200}` },
      -index,
    ),
  );
  await insert(store, projectId, batch);
  const page = { deletions: [], after: undefined, size: 10 };
  for (const filter of [condition('$host', prefix, '"b"'), condition('$host', greater, '"a"')]) {
    const { events, next } = await reader.query(projectId, filter, page, signal);
    t.deepEqual(
      events.map(({ uuid }) => uuid),
      batch.slice(-2).map(({ uuid }) => uuid),
    );
    t.is(next, undefined);
  }
  const none = await reader.query(projectId, condition('$host', prefix, '"c"'), page, signal);
  t.deepEqual(none, { events: [], next: undefined });
  const many = condition('$current_url', prefix, '"u"');
  const newest = await reader.query(projectId, many, page, signal);
  t.deepEqual(
    newest.events.map(({ uuid }) => uuid),
    batch.slice(0, 10).map(({ uuid }) => uuid),
  );
});

test('pages and counts of a range are the same whether its index is used or not', async (t) => {
  const { captured: store, eventQueries: reader, eventCounts } = await testWorld(t);
  const [projectId, signal] = [newId('prj'), AbortSignal.timeout(600_000)];
  const long = 'a'.repeat(indexedTextMax);
  const hosts = [
    'a',
    'b',
    'ba',
    `${long}1`,
    `${long}2`,
    '\u{1f600}',
    '\uffff',
    1,
    1.5,
    2,
    null,
    { a: 1 },
  ];
  const batch = Array.from({ length: 10 * hosts.length }, (_, index) =>
    // Several events in one millisecond.
    captured({ $host: hosts[index % hosts.length] }, -(index >> 2)),
  );
  await insert(store, projectId, batch);
  const operands = ['"b"', '"a"', '""', `"${long}1"`, '"\\uffff"', '1', '1.5'];
  for (const [operator, operand] of [less, greater, prefix].flatMap((each) =>
    operands.map((text) => [each, text] as const),
  )) {
    if (operator === prefix && !operand.startsWith('"')) continue;
    const byIndex = condition('$host', operator, operand);
    const without = { ...byIndex, places: new Map() };
    const found = await Promise.all(
      [byIndex, without].map(async (filter) => {
        const uuids: string[] = [];
        let after: Parameters<typeof reader.query>[2]['after'];
        do {
          const page = await reader.query(
            projectId,
            filter,
            { deletions: [], after, size: 7 },
            signal,
          );
          uuids.push(...page.events.map(({ uuid }) => uuid));
          after = page.next;
        } while (after !== undefined);
        const wanted = {
          grouping: { by: 'total' },
          deletions: [],
          after: undefined,
          size: 1,
        } as const;
        const { total } = await eventCounts.count(projectId, filter, wanted, signal);
        return { uuids, total };
      }),
    );
    t.deepEqual(found[0], found[1], `${operator} ${operand}`);
    t.is(found[0]?.uuids.length, found[0]?.total);
  }
});
