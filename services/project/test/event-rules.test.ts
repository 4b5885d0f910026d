import { PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import test from 'ava';
import fc from 'fast-check';
import { checkEvent, checkSuperProperties, eventBounds } from '../rules/events/check-event.ts';
import { isCovered } from '../rules/events/deletions.ts';
import { checkFilter, matches } from '../rules/events/filter.ts';
import { alwaysIndexed } from '../rules/events/indexed-properties.ts';
import { compareDecimals, decimalOf, joinObject, splitObject } from '../rules/events/json-text.ts';
import { ParsedProperties } from '../rules/events/parsed-properties.ts';
import { instantOf } from '../rules/events/timestamp.ts';
import { canonicalUuid, timeOrderedUuid } from '../rules/events/uuid.ts';

const receiveTime = new Date('2026-11-29T12:00:00.000Z');
const uuid = '0190a8f0-0000-7000-8000-000000000001';
const sent = { uuid, name: 'seen', distinctId: 'ada', timestamp: '', properties: '{}' };

function check(event: Partial<typeof sent>, superText = '') {
  const read = checkSuperProperties(superText);
  if ('violations' in read) throw new Error(JSON.stringify(read.violations));
  const { superProperties } = read;
  const context = { receiveTime, superProperties, newUuid: () => uuid, places: alwaysIndexed };
  return checkEvent({ ...sent, ...event }, context);
}

function stored(event: Partial<typeof sent>, superText = '') {
  const checked = check(event, superText);
  if ('violations' in checked) throw new Error(JSON.stringify(checked.violations));
  return checked.event;
}

function fieldsOf(event: Partial<typeof sent>): string[] {
  const checked = check(event);
  return 'violations' in checked ? checked.violations.map(({ field }) => field) : [];
}

test('properties are stored as the text that was sent', (t) => {
  const texts = [
    '{"a":9223372036854775807,"b":1.10,"c":1e+21,"d":-0.0}',
    '{ "$host" : "app.example.com" , "a.b": 1, "__proto__": {"x": 1}, "$where": "1" }',
    '{"lone":"\\ud83d","nul":"\\u0000","10":1,"2":2}',
    '{"a":1,"a":2}',
  ];
  for (const properties of texts) t.is(stored({ properties }).properties, properties);
  t.is(stored({ properties: '' }).properties, '{}');
});

test('super properties are merged in without changing any value; the event’s own properties win', (t) => {
  const { properties, indexed } = stored(
    { properties: '{"b": 2.50 ,"__proto__":{"y":[1,"]}"]},"big":9007199254740993}' },
    '{"a":1.10,"b":"super","$host":"app.example.com","q":"\\"}"}',
  );
  t.is(
    properties,
    '{"a":1.10,"b":2.50,"$host":"app.example.com","q":"\\"}","__proto__":{"y":[1,"]}"]},"big":9007199254740993}',
  );
  t.deepEqual(indexed, [{ place: 0, value: 'app.example.com' }]);
});

test('splitting and joining any object yields the same object', (t) => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()), (object) => {
      for (const text of [JSON.stringify(object), JSON.stringify(object, null, 2)]) {
        t.deepEqual(JSON.parse(joinObject(splitObject(text))), JSON.parse(text));
      }
    }),
    { numRuns: 2_000 },
  );
});

test('each field of an event has a rule, and a refused event names every field that breaks one', (t) => {
  const long = 'x'.repeat(eventBounds.nameMax + 1);
  const deep = `{"a":${'['.repeat(64)}${']'.repeat(64)}}`;
  const cases: [Partial<typeof sent>, string[]][] = [
    [{}, []],
    [{ uuid: uuid.toUpperCase(), name: '😀'.repeat(200) }, []],
    [
      { uuid: 'x', name: '', distinctId: long, timestamp: 'now' },
      ['uuid', 'name', 'distinct_id', 'timestamp'],
    ],
    [{ name: '😀'.repeat(201) }, ['name']],
    [{ properties: '[]' }, ['properties']],
    [{ properties: 'null' }, ['properties']],
    [{ properties: '{"a":NaN}' }, ['properties']],
    [{ properties: '{"a":1} ' }, []],
    [{ properties: '{"":1}' }, ['properties']],
    [{ properties: `{"${'n'.repeat(eventBounds.propertyNameMax)}":1}` }, []],
    [{ properties: `{"${'n'.repeat(eventBounds.propertyNameMax + 1)}":1}` }, ['properties']],
    [{ properties: deep }, ['properties']],
    [{ properties: deep.replace('[', '').replace(']', '') }, []],
    [{ properties: `{"a":"${'x'.repeat(eventBounds.propertyBytesMax)}"}` }, ['properties']],
    [{ properties: '['.repeat(100_000) }, ['properties']],
  ];
  for (const [event, fields] of cases)
    t.deepEqual(fieldsOf(event), fields, JSON.stringify(event).slice(0, 80));
});

test('a time is stored as sent; its instant is in milliseconds', (t) => {
  const times: [string, string | undefined][] = [
    ['2026-11-29T12:00:00Z', '2026-11-29T12:00:00.000Z'],
    ['2026-11-29T14:00:00.123456789+02:00', '2026-11-29T12:00:00.123Z'],
    ['2026-11-29 07:30:00.1-04:30', '2026-11-29T12:00:00.100Z'],
    ['2024-02-29T00:00:00z', '2024-02-29T00:00:00.000Z'],
    ['2016-12-31T23:59:60Z', '2017-01-01T00:00:00.000Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000Z'],
    ['9999-12-31T23:59:59.999999999Z', '9999-12-31T23:59:59.999Z'],
    ['9999-12-31T23:59:59-00:01', undefined],
    ['9999-12-31T23:59:60Z', undefined],
    ['0001-01-01T00:00:00+00:01', undefined],
    ['0000-12-31T23:59:59.999Z', undefined],
    ['2023-02-29T00:00:00Z', undefined],
    ['2026-04-31T00:00:00Z', undefined],
    ['2026-13-01T00:00:00Z', undefined],
    ['2026-11-29T24:00:00Z', undefined],
    ['2026-11-29T12:00:00', undefined],
    ['2026-11-29T12:00:00.1234567890Z', undefined],
    ['2026-11-29T12:00:00+24:00', undefined],
    ['Sun Nov 29 2026', undefined],
  ];
  for (const [text, instant] of times) t.is(instantOf(text)?.toISOString(), instant, text);
  const timestamp = '2026-11-29T14:00:00.123456789+02:00';
  t.like(stored({ timestamp }), { timestamp, time: new Date('2026-11-29T12:00:00.123Z') });
  t.is(stored({}).timestamp, receiveTime.toISOString());
});

test('numbers are compared by their text, exactly', (t) => {
  const compare = (a: string, b: string) => compareDecimals(decimalOf(a), decimalOf(b));
  const ascending = [
    '-1e400',
    '-2',
    '-1.5',
    '0',
    '5e-324',
    '0.1',
    '0.10000000000000000001',
    '1',
    '9007199254740992',
    '9007199254740993',
    '18446744073709551615',
    '1e21',
    '1e400',
    '1.1e400',
  ];
  for (const [a, first] of ascending.entries()) {
    for (const [b, second] of ascending.entries()) {
      t.is(Math.sign(compare(first, second)), Math.sign(a - b), `${first} ${second}`);
    }
  }
  for (const [first, second] of [
    ['1.0', '1'],
    ['1e2', '100'],
    ['-0', '0.00'],
    ['0.10', '1E-1'],
  ] as const) {
    t.is(compare(first, second), 0, `${first} ${second}`);
  }
});

test('a filter compares types and exact values, for any name', (t) => {
  const properties =
    '{"$host":"app.example.com","a.b":1.10,"__proto__":"x","n":null,"big":9007199254740993,"o":{"x":1},"t":true}';
  const parsed = new ParsedProperties(() => properties);
  const event = { name: 'seen', distinctId: 'ada', time: receiveTime, parsed };
  const { PROPERTY_OPERATOR_EQUAL: equal, PROPERTY_OPERATOR_NOT_EQUAL: not } = PropertyOperator;
  const { PROPERTY_OPERATOR_IN: oneOf, PROPERTY_OPERATOR_EXISTS: exists } = PropertyOperator;
  const { PROPERTY_OPERATOR_LESS: less, PROPERTY_OPERATOR_GREATER: greater } = PropertyOperator;
  const { PROPERTY_OPERATOR_PREFIX: prefix } = PropertyOperator;
  const cases: [string, PropertyOperator, string[], boolean][] = [
    ['$host', equal, ['"app.example.com"'], true],
    ['$host', equal, ['"app.example.co"'], false],
    ['$host', prefix, ['"app."'], true],
    ['$host', less, ['"b"'], true],
    ['$host', less, ['5'], false],
    ['a.b', equal, ['1.1'], true],
    ['a.b', equal, ['"1.1"'], false],
    ['a', exists, [], false],
    ['a.b', greater, ['1.09999999999999999999'], true],
    ['__proto__', equal, ['"x"'], true],
    ['constructor', exists, [], false],
    ['toString', not, ['1'], true],
    ['n', equal, ['null'], true],
    ['n', exists, [], true],
    ['missing', equal, ['null'], false],
    ['missing', not, ['null'], true],
    ['big', equal, ['9007199254740993'], true],
    ['big', equal, ['9007199254740992'], false],
    ['big', oneOf, ['1', '9007199254740993.0'], true],
    ['big', greater, [' 9007199254740992 '], true],
    ['big', greater, ['9007199254740993'], false],
    ['big', less, ['1e400'], true],
    ['$host', greater, ['"app.example.co"'], true],
    ['$host', less, ['"app.example.comx"'], true],
    ['$host', greater, ['"app.example.com"'], false],
    ['o', exists, [], true],
    ['o', not, ['1'], true],
    ['t', equal, ['true'], true],
    ['t', equal, ['1'], false],
  ];
  for (const [name, operator, values, expected] of cases) {
    const filter = checkFilter({
      ...{ startTime: undefined, endTime: undefined, names: [], distinctId: '' },
      properties: [{ name, operator, values }],
    });
    t.is(matches(filter, event), expected, `${name} ${operator} ${values}`);
  }
  const timed = checkFilter(undefined);
  t.true(
    matches({ ...timed, startTime: receiveTime, names: ['x', 'seen'], distinctId: 'ada' }, event),
  );
  t.false(matches({ ...timed, endTime: receiveTime }, event));
});

test('the text of an event is parsed once and split once', (t) => {
  let reads = 0;
  const parsed = new ParsedProperties(() => {
    reads++;
    return '{"n":1,"m":2}';
  });
  const event = { name: 'seen', distinctId: 'ada', time: receiveTime, parsed };
  const decimals = Array.from({ length: 100 }, (_, index) => `1.${'0'.repeat(20 + index)}1`);
  const { PROPERTY_OPERATOR_NOT_EQUAL: not, PROPERTY_OPERATOR_GREATER: greater } = PropertyOperator;
  const conditions = decimals.slice(0, 9).flatMap((value) => [
    { name: 'n', operator: not, values: [value] },
    { name: 'm', operator: greater, values: [value] },
  ]);
  const oneOf = PropertyOperator.PROPERTY_OPERATOR_IN;
  const filter = checkFilter({
    ...{ startTime: undefined, endTime: undefined, names: [], distinctId: '' },
    properties: [...conditions, { name: 'n', operator: oneOf, values: [...decimals, '1.0'] }],
  });
  t.true(matches(filter, event));
  const deletion = { generation: 1, filter };
  t.true(isCovered([deletion, deletion], { ...event, generation: 0 }));
  t.is(reads, 2);
});

test('a generated UUID sorts by time and has version 7', (t) => {
  const made = timeOrderedUuid(receiveTime, new Uint8Array(10).fill(255));
  t.is(canonicalUuid(made), made);
  t.is(made, '01a2272d-2600-7fff-bfff-ffffffffffff');
  t.true(made < timeOrderedUuid(new Date(receiveTime.getTime() + 1), new Uint8Array(10)));
  t.is(canonicalUuid('0190a8f0000070008000000000000001'), undefined);
});
