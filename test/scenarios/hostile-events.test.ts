import type { PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import type { CountGrouping } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import fc from 'fast-check';
import type { PublicApi, SignedUp } from '../harness/clients.ts';
import { outcomes } from '../harness/refusals.ts';
import { allEvents, capture, event, noFilter, query } from './event-requests.ts';
import { present, scenarios } from './support.ts';

const test = scenarios();

const hostileQueries = 5_000;

/** Names and texts that mean something elsewhere. */
const hostileText = fc.oneof(
  fc.constantFrom(
    '$where',
    '$host',
    '__proto__',
    'a.b',
    '_id.project',
    '$or',
    'x0',
    '',
    '\u0000',
    '.',
    '$',
  ),
  fc.string({ unit: 'binary', maxLength: 20 }),
);
const hostileValue = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.stringify(value)),
  fc.constantFrom(
    '{"$gt":""}',
    '{"$ne":null}',
    '1e999',
    '-0',
    '9223372036854775808',
    '"\\ud800"',
    '[',
  ),
  hostileText,
);
const hostileFilter = fc.record({
  startTime: fc.option(fc.date({ noInvalidDate: true, min: new Date(0) }), { nil: undefined }),
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
const hostileToken = fc.oneof(fc.constant(''), hostileText, fc.base64String({ maxLength: 60 }));

const hostileSample = fc.record({
  filter: hostileFilter,
  pageToken: hostileToken.map((token) => token.toWellFormed()),
  grouping: fc.integer({ min: 0, max: 5 }) as fc.Arbitrary<CountGrouping>,
  property: fc.oneof(fc.constant(''), hostileText).map((name) => name.toWellFormed()),
});
type Sample = typeof hostileSample extends fc.Arbitrary<infer Value> ? Value : never;

/** The names of events in a response, and how many events it counts. */
type Found = { names: string[]; count: number };

const reads: ((api: PublicApi, projectId: string, sample: Sample) => Promise<Found>)[] = [
  async (api, projectId, { filter, pageToken }) => {
    const { events } = await query(api, { projectId, filter }, pageToken);
    return { names: events.map(({ name }) => name), count: events.length };
  },
  async (api, projectId, { filter, ...rest }) => {
    const wanted = { projectId, filter: { ...noFilter, ...filter }, pageSize: 0, ...rest };
    const { counts, totalCount = 0 } = await api.events.countEvents(wanted);
    return { names: counts.map(({ name }) => name).filter(Boolean), count: totalCount };
  },
  async (api, projectId, { filter, pageToken }) => {
    const wanted = { projectId, filter: { ...noFilter, ...filter }, pageToken };
    const names: string[] = [];
    for await (const { events } of api.events.exportEvents(wanted)) {
      names.push(...events.map(({ name }) => name));
    }
    return { names, count: names.length };
  },
];

test('hostile filters, names, values and page tokens never find another’s event, and never fail', async (t) => {
  const { silo } = t.context;
  const people: [SignedUp, SignedUp] = [await silo.signUp('Ada'), await silo.signUp('Eve')];
  const names = ['$host', '__proto__', 'x0', '_id.project', '$where'];
  for (const { projectToken, projectId } of people) {
    const batch = names.map((name) =>
      event({ name: projectId, properties: JSON.stringify({ [name]: 1, $host: name }) }),
    );
    await capture(silo, projectToken, batch);
  }
  const [{ api, projectId }] = people;
  const ended: Record<string, number> = {};
  const samples = fc.sample(hostileSample, hostileQueries).entries();
  const worker = async () => {
    for (const [index, sample] of samples) {
      const read = reads[index % reads.length];
      const reading = read?.(api, projectId, sample).then((found) => {
        const foreign = found.names.filter((name) => name !== projectId);
        t.deepEqual(foreign, [], JSON.stringify(sample));
        t.true(found.count <= names.length, JSON.stringify(sample));
      });
      const [outcome = ''] = await outcomes([present(reading)]);
      ended[outcome] = (ended[outcome] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  t.deepEqual(Object.keys(ended).sort(), ['INVALID_FIELD', 'OK']);
  t.log(ended);
  t.is((await allEvents(api, { projectId })).length, names.length);
});

const hostileDeletions = 200;

test('hostile filters never delete another’s event, and never fail', async (t) => {
  const { silo } = t.context;
  const people = [await silo.signUp('Ada'), await silo.signUp('Eve')] as const;
  for (const { projectToken } of people) await capture(silo, projectToken, [event()]);
  const [{ api, projectId }, eve] = people;
  const ended = new Set<string>();
  for (const filter of fc.sample(hostileFilter, hostileDeletions)) {
    const wanted = { projectId, filter: { ...noFilter, ...filter }, requestId: '' };
    for (const outcome of await outcomes([api.events.deleteEvents(wanted)])) ended.add(outcome);
  }
  const expected = ['INVALID_FIELD', 'OK', 'RATE_LIMITED'];
  t.deepEqual(
    [...ended].filter((outcome) => !expected.includes(outcome)),
    [],
  );
  t.true(ended.has('OK'));
  t.is((await allEvents(eve.api, { projectId: eve.projectId })).length, 1);
});
