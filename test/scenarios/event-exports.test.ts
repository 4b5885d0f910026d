import { randomUUID } from 'node:crypto';
import { PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import { createKey } from '../authorization/world.ts';
import type { PublicApi } from '../harness/clients.ts';
import { eventually, isUnanswered, untilAnswered } from '../harness/eventually.ts';
import { outcomes, refused } from '../harness/refusals.ts';
import { capture, event, noFilter, query, where } from './event-requests.ts';
import { scenarios } from './support.ts';

const test = scenarios();

type Wanted = { projectId: string; filter?: typeof noFilter; pageToken?: string };

function exported(api: PublicApi, { projectId, filter, pageToken = '' }: Wanted) {
  return api.events.exportEvents({ projectId, filter, pageToken });
}

/**
 * The UUIDs of all messages, and the token of the last one. Retries only before the first message:
 * an export that breaks off later has failed.
 */
async function allOf(api: PublicApi, wanted: Wanted) {
  const uuids: string[] = [];
  let count = 0;
  let pageToken = '';
  const read = async () => {
    for await (const { events, nextPageToken } of exported(api, wanted)) {
      uuids.push(...events.map(({ uuid }) => uuid));
      pageToken = nextPageToken;
      count++;
    }
  };
  await untilAnswered(read, (error) => count === 0 && isUnanswered(error));
  return { uuids, count, pageToken };
}

/** This number of events, one second apart, from the oldest to the newest. */
function inOrder(count: number, properties = '{}') {
  return Array.from({ length: count }, (_, index) => {
    const timestamp = new Date(Date.UTC(2026, 0, 1) + index * 1_000).toISOString();
    return event({ uuid: randomUUID(), timestamp, properties });
  });
}

test('an export has every event once, oldest first, and continues after a message or its end', async (t) => {
  const { silo } = t.context;
  const { api, projectId, projectToken } = await silo.signUp();
  const batch = inOrder(2_500);
  for (const from of [1_000, 2_000, 0]) {
    await capture(silo, projectToken, batch.slice(from, from + 1_000));
  }
  const uuids = batch.map(({ uuid }) => uuid);
  const whole = await allOf(api, { projectId });
  t.deepEqual(whole.uuids, uuids);
  t.true(whole.count >= 3, 'a message has at most 1,000 events');
  for await (const { events, nextPageToken } of exported(api, { projectId })) {
    const rest = await allOf(api, { projectId, pageToken: nextPageToken });
    t.deepEqual([...events.map(({ uuid }) => uuid), ...rest.uuids], uuids);
    break;
  }
  const { pageToken } = whole;
  t.deepEqual((await allOf(api, { projectId, pageToken })).uuids, []);
  const later = event({ uuid: randomUUID() });
  await capture(silo, projectToken, [later]);
  t.deepEqual((await allOf(api, { projectId, pageToken })).uuids, [later.uuid]);
});

test('an export has the events of its filter, and its token belongs to the filter, the project and the account', async (t) => {
  const { silo } = t.context;
  const [ada, eve] = [await silo.signUp('Ada'), await silo.signUp('Eve')];
  const { api, projectId, projectToken } = ada;
  const [a, b] = ['{"plan":"a"}', '{"plan":"b"}'].map((properties) => event({ properties }));
  if (a !== undefined && b !== undefined) await capture(silo, projectToken, [a, b]);
  const filter = {
    ...noFilter,
    ...where('plan', PropertyOperator.PROPERTY_OPERATOR_EQUAL, '"b"'),
  };
  const { events } = await query(api, { projectId, filter });
  const found = await allOf(api, { projectId, filter });
  t.deepEqual(
    found.uuids,
    events.map(({ uuid }) => uuid),
  );
  const { pageToken } = found;
  await refused(t, allOf(api, { projectId, pageToken }), 'INVALID_FIELD');
  await refused(t, allOf(eve.api, { projectId }), 'PROJECT_NOT_FOUND');
  const empty = await allOf(eve.api, { projectId: eve.projectId });
  t.deepEqual(empty, { uuids: [], count: 1, pageToken: '' });
});

/** Sets the retention of a project whose events are all older, and waits until reads apply it. */
async function keepDays(api: PublicApi, projectId: string, retentionDays: number) {
  const project = Project.fromPartial({ id: projectId, settings: { retentionDays } });
  const updateMask = ['settings.retention_days'];
  await api.projects.updateProject({ project, updateMask, requestId: '' });
  await eventually(async () => {
    const { events } = await query(api, { projectId });
    if (events.length > 0) throw new Error(`${events.length} events are returned`);
  });
}

/** More than the network and both ends of a stream can hold: 16 messages wait at the client. */
const many = inOrder(150, JSON.stringify({ large: 'x'.repeat(200_000) }));

test('an export ends with the refusal once its access is removed', async (t) => {
  const { silo } = t.context;
  const { api, projectId, projectToken } = await silo.signUp();
  for (let from = 0; from < many.length; from += 15) {
    await capture(silo, projectToken, many.slice(from, from + 15));
  }
  const { secret, apiKey } = await createKey(api, { scopes: ['event:read'] });
  let count = 0;
  const reading = (async () => {
    for await (const { events } of exported(silo.as(secret), { projectId })) {
      if (count === 0)
        await api.apiKeys.deleteApiKey({ keyId: apiKey.id, etag: '', requestId: '' });
      count += events.length;
    }
  })();
  t.deepEqual(await outcomes([reading]), ['TOKEN_INVALID']);
  t.true(count < many.length, `${count} were sent before`);
});

test('an export leaves out events that a retention set while it runs removes', async (t) => {
  const { silo } = t.context;
  const { api, projectId, projectToken } = await silo.signUp();
  for (let from = 0; from < many.length; from += 15) {
    await capture(silo, projectToken, many.slice(from, from + 15));
  }
  let count = 0;
  for await (const { events } of exported(api, { projectId })) {
    if (count === 0) {
      await keepDays(api, projectId, 1);
      await capture(silo, projectToken, [event({ name: 'last' })]);
    }
    count += events.filter(({ name }) => name !== 'last').length;
  }
  t.true(count < many.length, `${count} were sent before`);
});

test('an export leaves out events that are deleted while it runs', async (t) => {
  const { silo } = t.context;
  const { api, projectId, projectToken } = await silo.signUp();
  for (let from = 0; from < many.length; from += 15) {
    await capture(silo, projectToken, many.slice(from, from + 15));
  }
  let count = 0;
  for await (const { events } of exported(api, { projectId })) {
    if (count === 0) {
      await api.events.deleteEvents({ projectId, filter: noFilter, requestId: '' });
      await capture(silo, projectToken, [event({ name: 'last' })]);
    }
    count += events.filter(({ name }) => name !== 'last').length;
  }
  t.true(count < many.length, `${count} were sent before`);
});
