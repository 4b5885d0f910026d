import { randomUUID } from 'node:crypto';
import { PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import {
  type CountEventsRequest,
  CountGrouping,
  type EventCount,
} from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { PublicApi } from '../harness/clients.ts';
import { refused } from '../harness/refusals.ts';
import { capture, event, noFilter, where } from './event-requests.ts';
import { scenarios } from './support.ts';

const test = scenarios();

const { COUNT_GROUPING_HOUR: byHour, COUNT_GROUPING_DAY: byDay } = CountGrouping;
const { COUNT_GROUPING_NAME: byName, COUNT_GROUPING_PROPERTY: byProperty } = CountGrouping;
const { COUNT_GROUPING_UNSPECIFIED: byNothing } = CountGrouping;

type Wanted = Partial<CountEventsRequest> & { projectId: string };

function count(api: PublicApi, wanted: Wanted) {
  const nothing = { filter: undefined, grouping: byNothing, property: '' };
  return api.events.countEvents({ ...nothing, pageSize: 0, pageToken: '', ...wanted });
}

const listed = (counts: EventCount[]) =>
  counts.map(({ startTime, name, value, count }) => [
    startTime?.toISOString() ?? (name || value),
    count,
  ]);

test('counts are by hour and day of the project’s time zone, even when the clocks change', async (t) => {
  const { silo } = t.context;
  const { api, projectId, projectToken } = await silo.signUp();
  const settings = { timeZone: 'Europe/Berlin', appUrls: [], anonymizeIps: false };
  await api.projects.updateProject({
    project: Project.fromPartial({ id: projectId, settings }),
    ...{ updateMask: ['settings.time_zone'], requestId: '' },
  });
  const times = [
    '2026-10-24T21:59:59.999Z',
    '2026-10-24T22:00:00Z',
    '2026-10-25T00:30:00Z',
    '2026-10-25T01:30:00Z',
    '2026-10-25T22:59:59.999Z',
    '2026-10-25T23:00:00Z',
  ];
  await capture(
    silo,
    projectToken,
    times.map((timestamp) => event({ timestamp })),
  );
  const days = await count(api, { projectId, grouping: byDay });
  t.like(days, { totalCount: 6, othersCount: 0, absentCount: 0, timeZone: 'Europe/Berlin' });
  t.deepEqual(listed(days.counts), [
    ['2026-10-25T23:00:00.000Z', 1],
    ['2026-10-24T22:00:00.000Z', 4],
    ['2026-10-23T22:00:00.000Z', 1],
  ]);
  const startTime = new Date('2026-10-25T00:00:00Z');
  const endTime = new Date('2026-10-25T02:00:00Z');
  const filter = { ...noFilter, startTime, endTime };
  const hours = await count(api, { projectId, grouping: byHour, filter });
  t.deepEqual(listed(hours.counts), [
    ['2026-10-25T01:00:00.000Z', 1],
    ['2026-10-25T00:00:00.000Z', 1],
  ]);
});

test('counts are by name or property, the largest first, and add up to the total', async (t) => {
  const { silo } = t.context;
  const { api, projectId, projectToken } = await silo.signUp();
  const plans = ['"free"', '"free"', '"free"', '1.0', '1', 'null', '{"a":1}'];
  const batch = plans.map((plan) => event({ properties: `{"plan":${plan},"$host":"a"}` }));
  await capture(silo, projectToken, [...batch, event({ name: 'other' })]);
  const names = await count(api, { projectId, grouping: byName });
  t.deepEqual(listed(names.counts), [
    ['seen', 7],
    ['other', 1],
  ]);
  const plan = { projectId, grouping: byProperty, property: 'plan' };
  const values = await count(api, { ...plan, pageSize: 2 });
  t.deepEqual(listed(values.counts), [
    ['"free"', 3],
    ['1', 2],
  ]);
  t.like(values, { totalCount: 8, othersCount: 1, absentCount: 2, nextPageToken: '' });
  const filter = {
    ...noFilter,
    ...where('$host', PropertyOperator.PROPERTY_OPERATOR_EQUAL, '"a"'),
  };
  const hosts = await count(api, { ...plan, property: '$host', filter });
  t.deepEqual(listed(hosts.counts), [['"a"', 7]]);
  t.is((await count(api, { projectId, filter })).totalCount, 7);
});

test('the pages of a count add up, and a page token belongs to its count, time zone and account', async (t) => {
  const { silo } = t.context;
  const { api, projectId, projectToken } = await silo.signUp();
  const batch = Array.from({ length: 30 }, (_, index) =>
    event({
      uuid: randomUUID(),
      timestamp: new Date(Date.UTC(2026, 0, 1, index >> 1)).toISOString(),
    }),
  );
  await capture(silo, projectToken, batch);
  const wanted = { projectId, grouping: byHour, pageSize: 4 };
  const found: unknown[] = [];
  let pageToken = '';
  do {
    const page = await count(api, { ...wanted, pageToken });
    found.push(...listed(page.counts));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  t.is(found.length, 15);
  t.true(found.every((each) => Array.isArray(each) && each[1] === 2));
  const { nextPageToken } = await count(api, wanted);
  for (const other of [{ grouping: byDay }, { filter: { ...noFilter, names: ['seen'] } }]) {
    const mixed = count(api, { ...wanted, ...other, pageToken: nextPageToken });
    const error = await refused(t, mixed, 'INVALID_FIELD');
    t.is(error.details.badRequest?.[0]?.field, 'page_token');
  }
  const settings = { timeZone: 'Asia/Kolkata', appUrls: [], anonymizeIps: false };
  await api.projects.updateProject({
    project: Project.fromPartial({ id: projectId, settings }),
    ...{ updateMask: ['settings.time_zone'], requestId: '' },
  });
  await refused(t, count(api, { ...wanted, pageToken: nextPageToken }), 'INVALID_FIELD');
});

test('a count names a property if and only if it groups by one', async (t) => {
  const { api, projectId } = await t.context.silo.signUp();
  for (const wanted of [{ grouping: byProperty }, { grouping: byName, property: 'plan' }]) {
    const error = await refused(t, count(api, { projectId, ...wanted }), 'INVALID_FIELD');
    t.is(error.details.badRequest?.[0]?.field, 'property');
  }
});
