import { Event, PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import {
  CountEventsResponse,
  CountGrouping,
  UsageDay,
} from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { fromJson } from '@silo/protos/json.ts';
import test from 'ava';
import widthOf from 'fast-string-width';
import { CountSum, groupingOf } from '../commands/count-sum.ts';
import { Unseen } from '../commands/unseen.ts';
import { filterOf, meansAll, parseWhere, wordsOf } from '../event-filter.ts';
import { namesFrom } from '../names.ts';
import { chart } from '../render/chart.ts';
import { countBlocks } from '../render/counts.ts';
import { eventJson, eventsBlocks } from '../render/events.ts';
import { propertiesText } from '../render/properties.ts';
import { usageBlocks } from '../render/usage.ts';
import { beginText, bytesText } from '../render/values.ts';
import { type Block, cut, toText } from '../text.ts';
import { firstDayOf, parseTime } from '../times.ts';

const plain = (blocks: Block[]) => toText(blocks, { colour: false });

const conditions: [text: string, name: string, operator: string, ...values: string[]][] = [
  ['$host=app.example.com', '$host', 'EQUAL', '"app.example.com"'],
  ['plan!=free', 'plan', 'NOT_EQUAL', '"free"'],
  ['amount<12.50', 'amount', 'LESS', '12.50'],
  ['amount>-3e2', 'amount', 'GREATER', '-3e2'],
  ['path^=/docs', 'path', 'PREFIX', '"/docs"'],
  ['zip^=10', 'zip', 'PREFIX', '"10"'],
  ['plan', 'plan', 'EXISTS'],
  ['a b.c', 'a b.c', 'EXISTS'],
  ['n=12345678901234567890', 'n', 'EQUAL', '12345678901234567890'],
  ['zip=007', 'zip', 'EQUAL', '"007"'],
  ['n="5"', 'n', 'EQUAL', '"5"'],
  ['on=true', 'on', 'EQUAL', 'true'],
  ['on=null', 'on', 'EQUAL', 'null'],
  ['a=', 'a', 'EQUAL', '""'],
  ['a=b=c', 'a', 'EQUAL', '"b=c"'],
  ['a=say "hi"\n', 'a', 'EQUAL', String.raw`"say \"hi\"\n"`],
];

for (const [text, name, operator, ...values] of conditions) {
  test(`--where ${JSON.stringify(text)} is ${operator} ${values.join()}`, (t) => {
    const key = `PROPERTY_OPERATOR_${operator}` as keyof typeof PropertyOperator;
    t.deepEqual(parseWhere(text), { name, operator: PropertyOperator[key], values });
  });
}

for (const text of ['', '=a', '!=', 'a<=5', 'a>=5']) {
  test(`--where ${JSON.stringify(text)} is refused`, (t) => {
    t.throws(() => parseWhere(text), { message: /Begin with|There is no/ });
  });
}

const now = new Date('2027-01-31T12:00:00Z');

for (const [text, time] of [
  ['1h', '2027-01-31T11:00:00.000Z'],
  ['7d', '2027-01-24T12:00:00.000Z'],
  ['2027-01-30', '2027-01-30T00:00:00.000Z'],
  ['2027-01-30T10:00', '2027-01-30T10:00:00.000Z'],
  ['2027-01-30T10:00:00.5+02:00', '2027-01-30T08:00:00.500Z'],
] as const) {
  test(`the time ${text} is ${time}`, (t) => t.is(parseTime(text, now).toISOString(), time));
}

for (const text of ['', 'yesterday', '2027-13-01', '5', '999999999d', 'Jan 1 2027']) {
  test(`the time "${text}" is refused`, (t) => {
    t.throws(() => parseTime(text, now), { message: /^Write/ });
  });
}

test('the options for a filter parse to the same filter', (t) => {
  const filter = filterOf({
    name: ["it's"],
    distinctId: 'ada',
    since: now,
    where: ['$host=a b', 'n>5', 'plan', 'path^=/'].map(parseWhere),
  });
  t.deepEqual(wordsOf(filter), [
    ...['--name', String.raw`'it'\''s'`, '--distinct-id', 'ada'],
    ...['--since', '2027-01-31T12:00:00.000Z', '--where', `'$host="a b"'`],
    ...['--where', `'n>5'`, '--where', 'plan', '--where', `'path^="/"'`],
  ]);
  t.deepEqual(['$host="a b"', 'n>5', 'plan', 'path^="/"'].map(parseWhere), filter.properties);
});

test('a filter matches all events only if it has no condition', (t) => {
  t.true(meansAll(filterOf({})));
  const conditions = [
    { name: ['a'] },
    { distinctId: 'a' },
    { since: now },
    { until: now },
    { where: [parseWhere('a')] },
  ];
  for (const each of conditions) t.false(meansAll(filterOf(each)), JSON.stringify(each));
});

test('--by accepts hour, day, name, and any property', (t) => {
  const { COUNT_GROUPING_DAY: day, COUNT_GROUPING_PROPERTY: byProperty } = CountGrouping;
  t.deepEqual(groupingOf('day'), { grouping: day, property: '' });
  t.deepEqual(groupingOf('constructor'), { grouping: byProperty, property: 'constructor' });
  t.deepEqual(groupingOf('property:day'), { grouping: byProperty, property: 'day' });
});

test('the pages of a count are added up', (t) => {
  const sum = new CountSum();
  const [late, early] = [new Date('2027-01-02'), new Date('2027-01-01')];
  sum.add(
    CountEventsResponse.fromPartial({
      counts: [{ startTime: late, count: 2 }],
      ...{ totalCount: 5, othersCount: 2, absentCount: 1, nextPageToken: 'more', timeZone: 'UTC' },
    }),
  );
  sum.add(
    CountEventsResponse.fromPartial({
      counts: [
        { startTime: late, count: 3 },
        { startTime: early, count: 9 },
      ],
      ...{ totalCount: 12, timeZone: 'UTC' },
    }),
  );
  t.like(sum.result(), {
    counts: [{ count: 5 }, { count: 9 }],
    ...{ totalCount: 17, othersCount: 2, absentCount: 1, nextPageToken: '', timeZone: 'UTC' },
  });
});

for (const [count, max, length] of [
  [10, 10, 20],
  [5, 10, 10],
  [1, 10_000, 1],
  [0, 10, 0],
] as const) {
  test(`the bar of ${count} of ${max} in 20 columns has ${length}`, (t) => {
    const rows = [count, max].map((each) => ({ label: 'a', count: each }));
    const columns = 'a'.length + 2 + 'events'.length + 2 + 20;
    const [, line = ''] = plain(chart('a', rows, columns)).split('\n');
    t.is([...line].filter((each) => each === '█').length, length);
  });
}

for (const columns of [40, 80, 200]) {
  test(`a chart fits into ${columns} columns, and its longest bar ends at the last one`, (t) => {
    const rows = [
      { label: '日本', count: 12_345 },
      { label: 'a', count: 1 },
    ];
    const widths = plain(chart('name', rows, columns))
      .split('\n')
      .map((line) => widthOf(line));
    t.is(Math.max(...widths), columns);
  });
}

test('a count shows its groups, events without the property, the others, and the total', (t) => {
  const sum = CountEventsResponse.fromPartial({
    counts: [{ value: '"pro"', count: 4 }],
    ...{ absentCount: 2, othersCount: 1, totalCount: 7 },
  });
  const grouping = groupingOf('plan');
  t.is(
    plain(countBlocks(sum, { ...grouping, columns: 30 })),
    `PLAN       EVENTS
"pro"           4  ███████████
(no plan)       2  ██████
(others)        1  ███
7 events in total
`,
  );
});

test('an hour is shown in its time zone and with its offset', (t) => {
  const time = new Date('2027-01-31T12:00:00Z');
  t.is(beginText(time, 'Europe/Berlin', true), '2027-01-31 13:00 GMT+1');
  t.is(beginText(new Date('2027-01-30T23:00:00Z'), 'Europe/Berlin', false), '2027-01-31');
});

test('properties of the app are shown first, and numbers keep all their digits', (t) => {
  const properties = '{"$host":"a","n":12345678901234567890,"list":[1],"o":{"a":1},"no":null}';
  t.is(propertiesText(properties), 'n=12345678901234567890 list=[…] o={…} no=null $host=a');
  t.is(propertiesText(''), '');
});

test('a table of events fits into the terminal', (t) => {
  const properties = JSON.stringify(
    Object.fromEntries(Array.from({ length: 50 }, (_, i) => [i, 'x'])),
  );
  const event = Event.fromPartial({
    ...{ name: 'seen', distinctId: 'ada', properties, timestamp: '2027-01-31T14:00:00+02:00' },
  });
  const text = plain(eventsBlocks([event], { columns: 80, more: '' }));
  t.regex(text, /^2027-01-31 12:00:00\.000 {2}seen .*…$/m);
  t.true(
    text.split('\n').every((line) => widthOf(line) <= 80),
    text,
  );
  t.is(plain(eventsBlocks([], { columns: 80, more: '' })), 'No event was found.\n');
});

test('an event is exported as one line of proto3 JSON, whatever its properties', (t) => {
  const properties = '{\n"n": 1.50,\r\n"text": "a\\nb"}';
  const receiveTime = new Date(1_000);
  const event = Event.fromPartial({ uuid: 'u', name: 'seen', properties, receiveTime });
  const line = eventJson(event);
  t.is(line.indexOf('\n'), line.length - 1);
  t.deepEqual(fromJson(Event, JSON.parse(line)), event);
  t.is(JSON.parse(line).properties, properties, 'as they were sent');
});

for (const [text, columns, shown] of [
  ['abc', 3, 'abc'],
  ['abcd', 3, 'ab…'],
  ['日本語', 4, '日…'],
  ['a\nb', 3, 'a\ufffdb'],
] as const) {
  test(`${JSON.stringify(text)} in ${columns} columns is ${shown}`, (t) => {
    t.is(cut(text, columns), shown);
  });
}

test('an event is shown once, even if it arrives late or is dated next year', (t) => {
  const received = (uuid: string, second: number, timestamp = '') =>
    Event.fromPartial({
      uuid,
      timestamp,
      receiveTime: new Date(Date.UTC(2027, 0, 1, 0, 2, second)),
    });
  const [a, b, c] = [received('a', 1, '2028-01-01T00:00:00Z'), received('b', 2), received('c', 3)];
  const unseen = new Unseen();
  t.deepEqual(unseen.narrow(filterOf({})), filterOf({}));
  t.deepEqual(unseen.of([b, a]), [a, b]);
  t.deepEqual(unseen.of([b, c, a]), [c]);
  t.deepEqual(unseen.of([b, c, a]), []);
  t.deepEqual(unseen.narrow(filterOf({})).startTime, new Date('2027-01-01T00:01:03Z'));
  t.is(unseen.narrow(filterOf({ since: now })).startTime?.getTime(), now.getTime());
});

for (const [bytes, text] of [
  [0, '0 B'],
  [999, '999 B'],
  [1_024, '1.0 KiB'],
  [1_048_575, '1.0 MiB'],
  [1_572_864, '1.5 MiB'],
  [2 ** 60, '1024.0 PiB'],
] as const) {
  test(`${bytes} bytes are ${text}`, (t) => t.is(bytesText(bytes), text));
}

test('usage is shown by day with known names, and in total', (t) => {
  const days = [
    UsageDay.fromPartial({ day: '2027-01-30', projectId: 'prj_1', events: 1_234, bytes: 2_048 }),
    UsageDay.fromPartial({ day: '2027-01-31', projectId: 'prj_2', events: 1, bytes: 10 }),
  ];
  t.is(
    plain(usageBlocks(days, namesFrom(new Map([['prj_1', 'Web']])))),
    `DAY         PROJECT  EVENTS  SIZE
2027-01-30  Web       1,234  2.0 KiB
2027-01-31  prj_2         1     10 B
total                 1,235  2.0 KiB
`,
  );
});

test('the number of days includes today', (t) => {
  t.is(firstDayOf(1, now), '2027-01-31');
  t.is(firstDayOf(7, now), '2027-01-25');
  t.is(firstDayOf(undefined, now), '');
});
