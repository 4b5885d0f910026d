/** Filters of events with hostile names and values; about half of them break no rule. */

import { type EventFilter, PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import { CountGrouping } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import fc from 'fast-check';

/** Names and texts with a special meaning elsewhere. */
export const hostileText = fc.oneof(
  fc.constantFrom(
    ...['$where', '$host', '__proto__', 'a.b', '_id.project', '$or', 'x0'],
    ...['', '\u0000', '.', '$'],
  ),
  fc.string({ unit: 'binary', maxLength: 20 }),
);
const hostileValue = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.stringify(value)),
  fc.constantFrom(
    ...['{"$gt":""}', '{"$ne":null}', '1e999', '-0', '9223372036854775808', '"\\ud800"', '['],
  ),
  hostileText,
);

/** The weight of values that are usually accepted. */
export const often = <T>(arbitrary: fc.Arbitrary<T>) => ({ weight: 8, arbitrary });

const [firstTime, lastTime] = [new Date('0001-01-02T00:00:00Z'), new Date('9999-12-30T00:00:00Z')];
/** Times that an event can have. */
export const hostileDate = fc.date({ noInvalidDate: true, min: firstTime, max: lastTime });

/** One field that breaks a rule makes the whole filter invalid, so most of these are refused. */
const anyFilter: fc.Arbitrary<EventFilter> = fc.record({
  // Some are later than a timestamp allows.
  startTime: fc.oneof(
    often(fc.option(hostileDate, { nil: undefined })),
    fc.date({ noInvalidDate: true, min: new Date(0) }),
  ),
  endTime: fc.constant(undefined),
  names: fc.array(hostileText, { maxLength: 2 }),
  distinctId: fc.oneof(fc.constant(''), hostileText),
  properties: fc.array(
    fc.record({
      name: hostileText,
      operator: fc.integer({ min: 0, max: 8 }) as fc.Arbitrary<PropertyOperator>,
      values: fc.array(hostileValue, { maxLength: 2 }),
    }),
    { maxLength: 2 },
  ),
});

/** Texts that a filter accepts as a name. */
const hostileName = hostileText.filter(Boolean);
/** The JSON of strings with a special meaning elsewhere. */
const stringValue = fc
  .oneof(hostileText, fc.constantFrom('{"$gt":""}', '[{"$ne":null}]', 'true;sleep(1)'))
  .map((text) => JSON.stringify(text));
const orderedValue = fc.oneof(
  stringValue,
  fc.constantFrom('1', '1e999', '-0', '9223372036854775808', '"\\ud800"', '0.1e-400'),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
);
const scalarValue = fc.oneof(orderedValue, fc.constantFrom('null', 'true', 'false', ' null '));

const {
  PROPERTY_OPERATOR_EQUAL: equal,
  PROPERTY_OPERATOR_NOT_EQUAL: notEqual,
  PROPERTY_OPERATOR_IN: isIn,
  PROPERTY_OPERATOR_EXISTS: exists,
  PROPERTY_OPERATOR_LESS: less,
  PROPERTY_OPERATOR_GREATER: greater,
  PROPERTY_OPERATOR_PREFIX: prefix,
} = PropertyOperator;

/** A condition that breaks no rule: the operator has the right number and kind of values. */
const validCondition = fc.oneof(
  ...[
    { operators: [equal, notEqual], value: scalarValue, count: [1, 1] },
    { operators: [isIn], value: scalarValue, count: [1, 3] },
    { operators: [exists], value: scalarValue, count: [0, 0] },
    { operators: [less, greater], value: orderedValue, count: [1, 1] },
    { operators: [prefix], value: stringValue, count: [1, 1] },
  ].map(({ operators, value, count: [minLength = 0, maxLength = 0] }) =>
    fc.record({
      name: hostileName,
      operator: fc.constantFrom(...operators),
      values: fc.array(value, { minLength, maxLength }),
    }),
  ),
);

const validTime = fc.oneof(often(fc.constant(undefined)), hostileDate);

/** What can be found: names and distinct ids of events, including those of another project. */
type Known = { eventNames: readonly string[]; distinctIds: readonly string[] };

/** Up to three names and two conditions that break no rule. */
function validFilter({ eventNames, distinctIds }: Known): fc.Arbitrary<EventFilter> {
  const known = (texts: readonly string[]) => fc.oneof(fc.constantFrom(...texts), hostileName);
  return fc.record({
    startTime: validTime,
    endTime: validTime,
    names: fc.oneof(
      often(fc.constant<string[]>([])),
      fc.array(known(eventNames), { maxLength: 3 }),
    ),
    distinctId: fc.oneof(often(fc.constant('')), known(distinctIds)),
    properties: fc.array(validCondition, { maxLength: 2 }),
  });
}

/** Filters of which about half break no rule. */
export function hostileFilter(known: Known): fc.Arbitrary<EventFilter> {
  return fc.oneof(validFilter(known), anyFilter);
}

// Mostly valid tokens, because one invalid field makes the whole request invalid.
const hostileToken = fc.oneof(
  often(fc.constant('')),
  hostileText,
  fc.base64String({ maxLength: 60 }),
);
/** The position in a page token that is made for the query itself. */
const hostilePlace = fc.oneof(
  fc.constantFrom(
    ...['["0",{"$gt":""}]', '[{"$ne":null},{"$ne":null}]', '[{"$date":"x"},{"$uuid":"x"}]', '{}'],
    ...['["999999999999999","00000000-0000-0000-0000-000000000000"]', '["0"]', '[]', '[', 'null'],
    ...['["-999999999999999","ffffffff-ffff-ffff-ffff-ffffffffffff"]', '[{"$numberLong":"1e9"},1]'],
  ),
  fc
    .array(fc.oneof(hostileText, fc.uuid()), { maxLength: 3 })
    .map((place) => JSON.stringify(place)),
  fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.stringify(value)),
);
/** Positions at which no page has ended, but that a query accepts. */
const validPlace = fc
  .tuple(fc.maxSafeInteger(), fc.uuid())
  .map(([time, uuid]) => JSON.stringify([String(time).slice(0, 15), uuid]));

const { COUNT_GROUPING_PROPERTY: byProperty } = CountGrouping;
const validGrouping = fc.oneof(
  fc.record({ grouping: fc.constant(byProperty), property: hostileName }),
  fc.record({
    grouping: fc.constantFrom(
      ...Object.values(CountGrouping).filter((each) => each !== byProperty),
    ),
    property: fc.constant(''),
  }),
);

/**
 * A query with a start position: the sender may bind `place` to it, in place of `pageToken`.
 */
export type HostileSample = {
  filter: EventFilter;
  pageToken: string;
  place: string | undefined;
  grouping: CountGrouping;
  property: string;
};

/** Queries of which about half break no rule. */
export function hostileSample(known: Known): fc.Arbitrary<HostileSample> {
  const anySample = fc.record({
    filter: anyFilter,
    pageToken: hostileToken.map((token) => token.toWellFormed()),
    place: fc.oneof(often(fc.constant(undefined)), { weight: 2, arbitrary: hostilePlace }),
    grouping: fc.integer({ min: 0, max: 5 }) as fc.Arbitrary<CountGrouping>,
    property: fc.oneof(fc.constant(''), hostileText).map((name) => name.toWellFormed()),
  });
  const validSample = fc
    .record({
      filter: validFilter(known),
      pageToken: fc.constant(''),
      place: fc.oneof(often(fc.constant(undefined)), validPlace),
      by: validGrouping,
    })
    .map(({ by, ...rest }) => ({ ...rest, ...by }));
  return fc.oneof(validSample, anySample);
}

const samplesAtOnce = 1_000;

/** Generates this number of samples one by one: all at once would fill the memory in a long run. */
export function* sampled<T>(arbitrary: fc.Arbitrary<T>, count: number): Generator<T> {
  for (let left = count; left > 0; left -= samplesAtOnce) {
    yield* fc.sample(arbitrary, Math.min(left, samplesAtOnce));
  }
}
