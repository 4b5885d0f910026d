import { randomUUID } from 'node:crypto';
import type { EventFilter } from '@silo/protos/gen/silo/project/v1/event.ts';
import { PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import { CaptureResult } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import type { PublicApi } from '../harness/clients.ts';
import { eventually, untilAnswered } from '../harness/eventually.ts';
import { outcomes, refused } from '../harness/refusals.ts';
import {
  allEvents,
  capture,
  captureWith,
  event,
  noFilter,
  query,
  where,
} from './event-requests.ts';
import { present, scenarios } from './support.ts';

const test = scenarios();

const { CAPTURE_RESULT_STORED: stored } = CaptureResult;
const { PROPERTY_OPERATOR_EQUAL: equal } = PropertyOperator;

async function remove(api: PublicApi, projectId: string, filter: Partial<EventFilter> = {}) {
  const request = { projectId, filter: { ...noFilter, ...filter }, requestId: '' };
  return present((await api.events.deleteEvents(request)).deletion);
}

test('deleted events are gone when DeleteEvents returns, others stay, and the receipt is completed later', async (t) => {
  const { silo } = t.context;
  const { api, account, projectId, projectToken } = await silo.signUp();
  const on = (host: string) => event({ properties: JSON.stringify({ $host: host }) });
  await capture(silo, projectToken, [on('a'), on('b'), on('a')]);
  const filter = { ...noFilter, ...where('$host', equal, '"a"') };
  const receipt = await remove(api, projectId, filter);
  t.like(receipt, { projectId, filter, actorAccountId: account.id });
  t.deepEqual(
    (await query(api, { projectId })).events.map(({ properties }) => properties),
    ['{"$host":"b"}'],
  );
  const which = { projectId, deletionId: receipt.id };
  await eventually(async () => {
    const { deletion } = await api.events.getEventDeletion(which);
    if (deletion?.finishTime === undefined) throw new Error('it is not finished');
    t.is(deletion.removedCount, 2);
  });
  await capture(silo, projectToken, [on('a')]);
  t.is(
    (await query(api, { projectId, filter })).events.length,
    1,
    'the event is of a later generation',
  );
  const events = silo.mongo.db(`${silo.databasePrefix}_project`).collection('captured_events');
  t.is(await events.countDocuments({ '_id.project': projectId } as object), 2);
});

test('an event that is captured after its deletion stays, even with the same UUID', async (t) => {
  const { silo } = t.context;
  const { api, projectId, projectToken } = await silo.signUp();
  const again = event({ uuid: randomUUID(), properties: '{"a":1}' });
  await capture(silo, projectToken, [again]);
  await remove(api, projectId);
  const events = [again, event()];
  await captureWith(t, { silo, token: projectToken, events }, [stored, stored]);
  t.is((await query(api, { projectId })).events.length, 2);
  await eventually(async () => {
    const open = silo.mongo.db(`${silo.databasePrefix}_project`).collection('event_deletions');
    if (await open.findOne({ projectId, isOpen: true })) throw new Error('it is not finished');
  });
  t.is((await query(api, { projectId })).events.length, 2);
});

test('a deletion requires a filter of at most 16 KiB, and an admin', async (t) => {
  const { silo } = t.context;
  const { api, projectId } = await silo.signUp();
  const absent = api.events.deleteEvents({ projectId, filter: undefined, requestId: '' });
  await refused(t, absent, 'INVALID_FIELD');
  const long = Array.from({ length: 10 }, () => JSON.stringify('x'.repeat(2_000)));
  const { PROPERTY_OPERATOR_IN: oneOf } = PropertyOperator;
  await refused(t, remove(api, projectId, where('a', oneOf, ...long)), 'INVALID_FIELD');
  await refused(t, remove(api, projectId, where('a', equal, '[')), 'INVALID_FIELD');
});

test('a deletion survives the deletion and undeletion of its project', async (t) => {
  const { silo } = t.context;
  const { api, projectId, projectToken } = await silo.signUp();
  await capture(silo, projectToken, [event()]);
  await remove(api, projectId);
  await api.projects.deleteProject({ projectId, etag: '', requestId: '' });
  await refused(t, remove(api, projectId), 'PROJECT_NOT_FOUND');
  await api.projects.undeleteProject({ projectId, requestId: '' });
  t.deepEqual((await query(api, { projectId })).events, []);
});

test('the activity log says who deleted events, and the filter’s fields without their values', async (t) => {
  const { silo } = t.context;
  const { api, account, organization, projectId } = await silo.signUp();
  const { id } = await remove(api, projectId, { distinctId: 'ada', names: ['seen'] });
  const { entries } = await api.activity.listActivity({
    ...{ organizationId: organization.id, projectId: '', pageSize: 0, pageToken: '' },
  });
  t.like(entries[0], {
    ...{ type: 'project.events_deleted', actor: account.id, projectId, subjectId: id },
    changes: [{ field: 'events', from: 'names, distinct_id', to: '' }],
  });
});

const perBatch = 20;
const rounds = 8;

test('in a race with captures, a deletion hides events captured before it, and keeps events captured after it', async (t) => {
  const { silo } = t.context;
  const { api, projectId, projectToken } = await silo.signUp();
  let isOver = false;
  let round = 0;
  /** Acknowledged events, by the number of deletions that had returned when their capture began. */
  const acknowledged = new Map<string, number>();
  const flood = async () => {
    while (!isOver) {
      const began = round;
      const batch = Array.from({ length: perBatch }, () => event({ uuid: randomUUID() }));
      // The same batch is sent again if it is refused.
      await untilAnswered(() => capture(silo, projectToken, batch));
      for (const { uuid } of batch) acknowledged.set(uuid, began);
    }
  };
  const flooding = Promise.all(Array.from({ length: 8 }, flood)).finally(() => {
    isOver = true;
  });
  for (let next = 1; next <= rounds; next++) {
    const before = [...acknowledged.keys()];
    const asked = { projectId, filter: noFilter, requestId: '' };
    const [outcome] = await outcomes([api.events.deleteEvents(asked)]);
    t.is(outcome, 'OK');
    round = next;
    const found = new Set(
      (await allEvents(api, { projectId, pageSize: 1_000 })).map(({ uuid }) => uuid),
    );
    t.deepEqual(
      before.filter((uuid) => found.has(uuid)),
      [],
      'events captured before the deletion are deleted',
    );
    for (const uuid of before) acknowledged.delete(uuid);
  }
  const isAfter = (began: number) => began === rounds;
  await eventually(() => {
    if (![...acknowledged.values()].some(isAfter))
      throw new Error('no capture began after the last deletion');
  });
  isOver = true;
  await flooding;
  await eventually(async () => {
    const open = silo.mongo.db(`${silo.databasePrefix}_project`).collection('event_deletions');
    if (await open.findOne({ projectId, isOpen: true })) throw new Error('it is not finished');
  });
  const left = new Set(
    (await allEvents(api, { projectId, pageSize: 1_000 })).map(({ uuid }) => uuid),
  );
  const after = [...acknowledged].filter(([, began]) => isAfter(began));
  t.deepEqual(
    after.filter(([uuid]) => !left.has(uuid)),
    [],
    'events captured after the deletion are kept',
  );
  t.true(after.length > 0, 'captures began after the last deletion');
  t.log(`${after.length} captured after the last deletion, ${left.size} stored`);
});
