import { randomUUID } from 'node:crypto';
import { reasonOf } from '@silo/errors/from-status.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import { CaptureResult } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { fingerprintOf } from '@silo/tokens/secrets.ts';
import { join } from '../authorization/world.ts';
import { isUnanswered, untilAnswered } from '../harness/eventually.ts';
import { refused } from '../harness/refusals.ts';
import { storedEvents } from '../harness/regions.ts';
import { capture, captureWith, event, query, where } from './event-requests.ts';
import {
  choosePlan,
  createOrganization,
  createProject,
  moveProject,
  present,
  scenarios,
} from './support.ts';

const test = scenarios();

const { CAPTURE_RESULT_STORED: stored, CAPTURE_RESULT_DUPLICATE: duplicate } = CaptureResult;
const { CAPTURE_RESULT_REFUSED: refusedEvent } = CaptureResult;

test('events that a project token captures are read with a key exactly as they were sent, newest first', async (t) => {
  const { silo } = t.context;
  const { api, projectId, projectToken } = await silo.signUp();
  const properties =
    '{"$host":"app.example.com","n":9007199254740993,"d":1.10,"a.b":{"$gt":1},"__proto__":1}';
  const timestamp = '2026-01-02T03:04:05.123456789+02:00';
  const older = event({ uuid: randomUUID(), timestamp, properties });
  const events = [older, event({ name: 'other' })];
  await captureWith(t, { silo, token: projectToken, events }, [stored, stored]);
  const [newest, oldest, ...rest] = (await query(api, { projectId })).events;
  t.deepEqual(rest, []);
  t.is(newest?.name, 'other');
  t.like(oldest, { uuid: older.uuid, name: 'seen', distinctId: 'ada', timestamp, properties });
});

test('an event without a UUID gets a new one each time that it is sent', async (t) => {
  const { silo } = t.context;
  const { api, projectId, projectToken } = await silo.signUp();
  const { events } = silo.once(projectToken);
  let tries = 0;
  const send = () =>
    untilAnswered(() => {
      tries++;
      return events.captureEvents({ events: [event({ uuid: '' })], superProperties: '' });
    });
  const answers = [await send(), await send()].flatMap(({ outcomes }) => outcomes);
  t.deepEqual(
    answers.map(({ result }) => result),
    [stored, stored],
  );
  const found = (await query(api, { projectId })).events.map(({ uuid }) => uuid);
  for (const { uuid } of answers) t.true(found.includes(uuid));
  t.is(new Set(found).size, found.length);
  // An attempt that was not answered may have stored one, too.
  t.true(found.length >= 2 && found.length <= tries, `${found.length} after ${tries} tries`);
});

test('an invalid event is refused alone, and a repeated one is stored once', async (t) => {
  const { silo } = t.context;
  const { api, projectId, projectToken } = await silo.signUp();
  const uuid = randomUUID();
  const events = [event({ uuid }), event({ name: '', properties: '[' }), event({ uuid })];
  const due = [stored, refusedEvent, duplicate];
  const first = await captureWith(t, { silo, token: projectToken, events }, due);
  t.deepEqual(
    first[1]?.violations.map(({ field }) => field),
    ['name', 'properties'],
  );
  const again = (await capture(silo, projectToken, [event({ uuid: uuid.toUpperCase() })])).outcomes;
  t.deepEqual(again, [{ uuid, result: duplicate, violations: [] }]);
  t.is((await query(api, { projectId })).events.length, 1);
  const { projectToken: token } = await silo.signUp();
  // Another project may store an event with the same UUID.
  await captureWith(t, { silo, token, events: [event({ uuid })] }, [stored]);
});

test('super properties are merged into every event, whose own properties win', async (t) => {
  const { silo } = t.context;
  const { api, projectId, projectToken } = await silo.signUp();
  const own = event({ properties: '{"plan":1.50}' });
  await capture(silo, projectToken, [own], '{"plan":"free","$host":"a.example.com"}');
  const found = await query(api, {
    projectId,
    filter: where('$host', PropertyOperator.PROPERTY_OPERATOR_EQUAL, '"a.example.com"'),
  });
  t.is(found.events[0]?.properties, '{"plan":1.50,"$host":"a.example.com"}');
  for (const superProperties of ['[', '{"":1}']) {
    const error = await refused(
      t,
      capture(silo, projectToken, [own], superProperties),
      'INVALID_FIELD',
    );
    t.is(error.details.badRequest?.[0]?.field, 'super_properties');
  }
  await refused(t, capture(silo, projectToken, []), 'INVALID_FIELD');
  await refused(t, capture(silo, projectToken, Array(1_001).fill(own)), 'INVALID_FIELD');
});

test('a batch of 4 MiB is accepted, a request of 256 KiB to another method is not', async (t) => {
  const { silo } = t.context;
  const { api, projectToken } = await silo.signUp();
  const properties = `{"a":"${' '.repeat(1_000_000)}"}`;
  const batch = Array.from({ length: 4 }, () => event({ properties }));
  t.is((await capture(silo, projectToken, batch)).outcomes.length, 4);
  const settings = undefined;
  const name = 'x'.repeat(300_000);
  const create = api.projects.createProject({ organizationId: 'x', name, settings, requestId: '' });
  const error = await refused(t, create, 'INVALID_FIELD');
  t.is(error.details.badRequest?.[0]?.field, '');
});

test('pages are consecutive, even among events of one millisecond and while others are stored', async (t) => {
  const { silo } = t.context;
  const { api, projectId, projectToken } = await silo.signUp();
  const timestamp = '2026-01-02T03:04:05.123Z';
  const batch = Array.from({ length: 25 }, () => event({ uuid: randomUUID(), timestamp }));
  await capture(silo, projectToken, batch);
  const found: string[] = [];
  let pageToken = '';
  do {
    const page = await query(
      api,
      { projectId, pageSize: 4, filter: { names: ['seen'] } },
      pageToken,
    );
    found.push(...page.events.map(({ uuid }) => uuid));
    pageToken = page.nextPageToken;
    await capture(silo, projectToken, [event()]);
  } while (pageToken !== '');
  t.deepEqual(
    found,
    batch
      .map(({ uuid }) => uuid)
      .sort()
      .reverse(),
  );
});

test('a page token belongs to its query, project and account', async (t) => {
  const { silo } = t.context;
  const [ada, eve] = [await silo.signUp('Ada'), await silo.signUp('Eve')];
  for (const { projectToken } of [ada, eve]) await capture(silo, projectToken, [event(), event()]);
  const { projectId } = ada;
  const { nextPageToken } = await query(ada.api, { projectId, pageSize: 1 });
  t.is((await query(ada.api, { projectId, pageSize: 1 }, nextPageToken)).events.length, 1);
  await refused(
    t,
    query(ada.api, { projectId, filter: { names: ['seen'] } }, nextPageToken),
    'INVALID_FIELD',
  );
  await refused(t, query(eve.api, { projectId: eve.projectId }, nextPageToken), 'INVALID_FIELD');
});

test('a move changes no event: the new owner sees them all, the old one none', async (t) => {
  const { silo } = t.context;
  const [ada, bob, eve] = [
    await silo.signUp('Ada'),
    await silo.signUp('Bob'),
    await silo.signUp('Eve'),
  ];
  const { projectId, organizationId, projectToken } = await createOrganization(ada.api);
  await choosePlan(ada.api, organizationId);
  await createProject(ada.api, organizationId);
  await join(ada, bob, Level.LEVEL_MEMBER, organizationId);
  await choosePlan(eve.api, eve.organization.id);
  await join(eve, ada, Level.LEVEL_MEMBER);
  await capture(silo, projectToken, [event(), event()]);
  await refused(t, query(eve.api, { projectId }), 'PROJECT_NOT_FOUND');
  await moveProject(ada.api, projectId, eve.organization.id);
  t.is((await query(eve.api, { projectId })).events.length, 2);
  await refused(t, query(bob.api, { projectId }), 'PROJECT_NOT_FOUND');
  await capture(silo, projectToken, [event()]);
  t.is((await query(eve.api, { projectId })).events.length, 3);
});

test('DeleteProject ends capture, and UndeleteProject brings events and capture back', async (t) => {
  const { silo } = t.context;
  const { api, projectId, projectToken } = await silo.signUp();
  await capture(silo, projectToken, [event()]);
  await api.projects.deleteProject({ projectId, etag: '', requestId: '' });
  await refused(t, capture(silo, projectToken, [event()]), 'TOKEN_INVALID');
  await api.projects.undeleteProject({ projectId, requestId: '' });
  t.is((await query(api, { projectId })).events.length, 1);
});

const capturesInRace = 20_000;
const perBatch = 20;

test('after RegenerateProjectToken has returned, no event with the old token is stored, in a race of 20,000 events', async (t) => {
  const { silo } = t.context;
  const { api, projectId, ...signedUp } = await silo.signUp();
  let token = signedUp.projectToken;
  const acknowledged = new Map<string, string>();
  let sent = 0;
  let refusals = 0;
  let isOver = false;
  /** Events of calls without a response in time: they may be stored. */
  const unknown = new Set<string>();
  const events = silo.mongo.db(`${silo.databasePrefix}_project`).collection('captured_events');
  const left = new Map<string, number>();
  const isRace = () => left.size > 1 && refusals > 0;
  const flood = async () => {
    while (sent < capturesInRace || (!isRace() && sent < 20 * capturesInRace)) {
      sent += perBatch;
      const used = token;
      const batch = Array.from({ length: perBatch }, () =>
        event({ uuid: randomUUID(), name: fingerprintOf(used) }),
      );
      const once = silo.once(used).events;
      try {
        await once.captureEvents({ events: batch, superProperties: '' });
        for (const { uuid } of batch) acknowledged.set(uuid, used);
      } catch (error) {
        if (reasonOf(error) === 'TOKEN_INVALID') refusals++;
        else if (isUnanswered(error)) for (const { uuid } of batch) unknown.add(uuid);
        else throw error;
      }
    }
  };
  const flooding = Promise.all(Array.from({ length: 16 }, flood)).finally(() => {
    isOver = true;
  });
  while (!isOver) {
    const old = token;
    const { projectToken } = await api.projectTokens.regenerateProjectToken({
      ...{ projectId, expectedFingerprint: '', requestId: '' },
    });
    const name = fingerprintOf(old);
    left.set(name, await events.countDocuments({ name }, { readConcern: { level: 'majority' } }));
    token = present(projectToken).token;
  }
  await flooding;
  for (const [name, count] of left) t.is(await events.countDocuments({ name }), count, name);
  const stored = await storedEvents(silo, projectId);
  const isLost = (uuid: string) => !stored.has(uuid);
  t.deepEqual([...acknowledged.keys()].filter(isLost), [], 'acknowledged events are stored');
  const isStrange = (uuid: string) => !acknowledged.has(uuid) && !unknown.has(uuid);
  t.deepEqual([...stored.keys()].filter(isStrange), [], 'and no others');
  t.true(isRace(), `${left.size} regenerated, ${refusals} refused`);
  t.log(`${left.size} regenerations, ${acknowledged.size} stored, ${refusals} batches refused`);
});
