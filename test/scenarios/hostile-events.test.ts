import { encodePageToken } from '@silo/mongo/page-token.ts';
import { filterText } from '@silo/project-service/handlers/shared/event-read.ts';
import { enumName } from '@silo/protos/enum-name.ts';
import {
  type CapturedEvent,
  CaptureResult,
} from '@silo/protos/gen/silo/project/v1/event_service.ts';
import fc from 'fast-check';
import type { SignedUp } from '../harness/clients.ts';
import { untilAnswered } from '../harness/eventually.ts';
import { outcomes } from '../harness/refusals.ts';
import { allEvents, capture, event, noFilter, query } from './event-requests.ts';
import {
  type HostileSample,
  hostileDate,
  hostileFilter,
  hostileSample,
  hostileText,
  often,
  sampled,
} from './hostile-filters.ts';
import { present, scenarios } from './support.ts';

const test = scenarios();

/** Number of queries, and of captured events; 100,000 or more in a long run. */
const hostileSamples = Number(process.env.SILO_HOSTILE_SAMPLES ?? 5_000);
const longestMs = 6 * 60 * 60_000;

/** Minimum shares of queries that are answered, and that find events. */
const [answeredShareMin, findingShareMin] = [0.25, 0.05];

/** The length of the part of a page token that binds it to its query. */
const boundBytes = 12;

/** The sample's page token, or one that is bound to its query, whatever its position. */
function tokenOf(
  method: 'QueryEvents' | 'ExportEvents',
  { account, projectId }: SignedUp,
  { filter, pageToken, place }: HostileSample,
): string {
  if (place === undefined) return pageToken;
  const bound = [method, projectId, account.id, filterText({ ...noFilter, ...filter })];
  const prefix = Buffer.from(encodePageToken(bound, []), 'base64url').subarray(0, boundBytes);
  return Buffer.concat([prefix, Buffer.from(place)]).toString('base64url');
}

/** The names of events in a response, and the number of events that it counts. */
type Found = { names: string[]; count: number };

const reads: ((person: SignedUp, sample: HostileSample) => Promise<Found>)[] = [
  async (person, sample) => {
    const { api, projectId } = person;
    const wanted = { projectId, filter: sample.filter };
    const { events } = await query(api, wanted, tokenOf('QueryEvents', person, sample));
    return { names: events.map(({ name }) => name), count: events.length };
  },
  async ({ api, projectId }, { filter, place: _, ...rest }) => {
    const wanted = { projectId, filter: { ...noFilter, ...filter }, pageSize: 0, ...rest };
    const { counts, totalCount = 0 } = await api.events.countEvents(wanted);
    return { names: counts.map(({ name }) => name).filter(Boolean), count: totalCount };
  },
  async (person, sample) => {
    const { api, projectId } = person;
    const filter = { ...noFilter, ...sample.filter };
    const wanted = { projectId, filter, pageToken: tokenOf('ExportEvents', person, sample) };
    const names: string[] = [];
    for await (const { events } of api.events.exportEvents(wanted)) {
      names.push(...events.map(({ name }) => name));
    }
    return { names, count: names.length };
  },
];

test('hostile filters, names, values and page tokens never find another project’s event, and never fail', async (t) => {
  t.timeout(longestMs);
  const { silo } = t.context;
  const people: [SignedUp, SignedUp] = [await silo.signUp('Ada'), await silo.signUp('Eve')];
  const names = ['$host', '__proto__', 'x0', '_id.project', '$where'];
  for (const { projectToken, projectId } of people) {
    const batch = names.map((name) =>
      event({ name: projectId, properties: JSON.stringify({ [name]: 1, $host: name }) }),
    );
    await capture(silo, projectToken, batch);
  }
  const [ada] = people;
  const { api, projectId } = ada;
  const ended: Record<string, number> = {};
  // Includes Eve's events, which a query could find by mistake.
  const known = { eventNames: people.map((each) => each.projectId), distinctIds: ['ada'] };
  const samples = sampled(hostileSample(known), hostileSamples);
  let [index, finding] = [0, 0];
  const worker = async () => {
    for (const sample of samples) {
      const read = reads[index++ % reads.length];
      const reading = untilAnswered(() => present(read)(ada, sample)).then((found) => {
        const foreign = found.names.filter((name) => name !== projectId);
        t.deepEqual(foreign, [], JSON.stringify(sample));
        t.true(found.count <= names.length, JSON.stringify(sample));
        if (found.count > 0) finding++;
      });
      const [outcome = ''] = await outcomes([reading]);
      ended[outcome] = (ended[outcome] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  t.deepEqual(Object.keys(ended).sort(), ['INVALID_FIELD', 'OK']);
  const shares = { answered: (ended.OK ?? 0) / index, finding: finding / index };
  t.log(ended, shares);
  t.true(shares.answered >= answeredShareMin);
  t.true(shares.finding >= findingShareMin);
  t.is(index, hostileSamples);
  const left = await untilAnswered(() => allEvents(api, { projectId }));
  t.is(left.length, names.length);
});

const hostileTime = fc.oneof(
  often(fc.constant('')),
  often(hostileDate.map((date) => date.toISOString())),
  fc.constantFrom(
    ...['2024-02-30T00:00:00Z', '2024-01-01T00:00:00+25:00', '0000-01-01T00:00:00Z', '1e9'],
    ...['9999-12-31T23:59:59.999999999Z', '0001-01-01T00:00:00+00:01', '1969-12-31T23:59:60Z'],
  ),
  hostileText,
);
const hostileProperties = fc.oneof(
  often(
    fc
      .dictionary(hostileText, fc.jsonValue({ maxDepth: 2 }), { maxKeys: 4 })
      .map((object) => JSON.stringify(object)),
  ),
  fc.constantFrom(
    ...['{"__proto__":{"x":1}}', '{"_bsontype":"ObjectId"}', '{"$where":"1"}', '{"a":1e999}'],
    ...['{"n":9223372036854775808}', '{"u":"\\ud800"}', '{"\\u0000":1}', '{"":1}', '{"a":1', '[]'],
    ...[
      'null',
      '""',
      `${'{"a":'.repeat(100)}1${'}'.repeat(100)}`,
      '{"$ref":"a","$id":1}',
      '{"10":1}',
    ],
  ),
  hostileText,
);
const eventsAtOnce = 100;
const {
  CAPTURE_RESULT_STORED: stored,
  CAPTURE_RESULT_DUPLICATE: duplicate,
  CAPTURE_RESULT_REFUSED: refused,
} = CaptureResult;

test('hostile events are stored as they are sent, or refused alone; another project never has one', async (t) => {
  t.timeout(longestMs);
  const { silo } = t.context;
  const [ada, eve] = [await silo.signUp('Ada'), await silo.signUp('Eve')];
  const { outcomes: own } = await capture(silo, eve.projectToken, [event({ properties: '{}' })]);
  const before = await allEvents(eve.api, eve);
  const taken = own.map(({ uuid }) => uuid);
  const hostileEvent: fc.Arbitrary<CapturedEvent> = fc.record({
    uuid: fc.oneof(
      // Never empty, because a repeated batch must have the same UUIDs.
      ...[often(fc.uuid()), hostileText.filter(Boolean), fc.constantFrom(...taken)],
    ),
    name: hostileText,
    distinctId: hostileText,
    timestamp: hostileTime,
    properties: hostileProperties,
  });
  const sent = new Map<string, CapturedEvent>();
  const ended: Record<string, number> = {};
  const { events } = silo.once(ada.projectToken);
  for (let left = hostileSamples; left > 0; left -= eventsAtOnce) {
    const batch = fc.sample(hostileEvent, Math.min(left, eventsAtOnce));
    let tries = 0;
    const answer = await untilAnswered(() => {
      tries++;
      return events.captureEvents({ events: batch, superProperties: '' });
    });
    t.is(answer.outcomes.length, batch.length);
    for (const [index, { uuid, result, violations }] of answer.outcomes.entries()) {
      const each = present(batch[index]);
      const isRefused = violations.length > 0;
      const due = isRefused ? refused : sent.has(uuid) ? duplicate : stored;
      // An earlier attempt that was not answered may have stored it.
      const isRepeat = tries > 1 && due === stored && result === duplicate;
      if (!isRepeat) t.is(result, due, JSON.stringify(each));
      if (due === stored) sent.set(uuid, each);
      const name = enumName(CaptureResult, result);
      ended[name] = (ended[name] ?? 0) + 1;
    }
  }
  t.log(ended);
  for (const result of [stored, refused]) t.true((ended[enumName(CaptureResult, result)] ?? 0) > 0);
  const found = await untilAnswered(() => allEvents(ada.api, { ...ada, pageSize: 1_000 }));
  t.is(found.length, sent.size);
  for (const { uuid, name, distinctId, timestamp, properties } of found) {
    const { uuid: _, ...wanted } = present(sent.get(uuid));
    const empty = { timestamp: wanted.timestamp || timestamp, properties: '{}' };
    const due = { ...wanted, ...empty, properties: wanted.properties || '{}' };
    t.deepEqual({ name, distinctId, timestamp, properties }, due);
  }
  t.deepEqual(await untilAnswered(() => allEvents(eve.api, eve)), before);
});

const hostileDeletions = 200;

test('hostile filters never delete another project’s event, and never fail', async (t) => {
  const { silo } = t.context;
  const people = [await silo.signUp('Ada'), await silo.signUp('Eve')] as const;
  for (const { projectToken } of people) await capture(silo, projectToken, [event()]);
  const [{ api, projectId }, eve] = people;
  const ended = new Set<string>();
  const known = { eventNames: ['seen'], distinctIds: ['ada'] };
  for (const filter of fc.sample(hostileFilter(known), hostileDeletions)) {
    const wanted = { projectId, filter: { ...noFilter, ...filter }, requestId: '' };
    const deleting = untilAnswered(() => api.events.deleteEvents(wanted));
    for (const outcome of await outcomes([deleting])) ended.add(outcome);
  }
  const expected = ['INVALID_FIELD', 'OK', 'RATE_LIMITED'];
  t.deepEqual(
    [...ended].filter((outcome) => !expected.includes(outcome)),
    [],
  );
  t.true(ended.has('OK'));
  t.is((await allEvents(eve.api, { projectId: eve.projectId })).length, 1);
});
