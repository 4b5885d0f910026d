import { randomUUID } from 'node:crypto';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { CapturedEvent } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { join } from '../authorization/world.ts';
import type { PublicApi } from '../harness/clients.ts';
import { outcomes, refused } from '../harness/refusals.ts';
import {
  choosePlan,
  createOrganization,
  createProject,
  moveProject,
  scenarios,
} from './support.ts';

const test = scenarios();

const nobody = { organizationId: '', projectId: '' };

function event(properties = ''): CapturedEvent {
  return { uuid: randomUUID(), name: 'seen', distinctId: 'ada', timestamp: '', properties };
}

/** The days of an organization or a project, page by page. */
async function usage(
  api: PublicApi,
  target: { organizationId?: string; projectId?: string },
  { pageSize = 0, firstDay = '', lastDay = '' } = {},
) {
  const found = [];
  let pageToken = '';
  do {
    const wanted = { ...nobody, ...target, firstDay, lastDay, pageSize, pageToken };
    const page = await api.events.getUsage(wanted);
    found.push(...page.days);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return found;
}

/** By UTC, the time zone of new projects. */
const today = () => new Date().toISOString().slice(0, 10);

const totals = (days: { events?: number | undefined; bytes?: number | undefined }[]) => ({
  events: days.reduce((sum, { events = 0 }) => sum + events, 0),
  bytes: days.reduce((sum, { bytes = 0 }) => sum + bytes, 0),
});

test('usage counts what is stored, by project and day, as soon as the capture is answered', async (t) => {
  const { silo } = t.context;
  const { api, organization, projectId, projectToken } = await silo.signUp();
  const organizationId = organization.id;
  t.deepEqual(await usage(api, { projectId }), []);
  const firstDay = today();
  const events = [event('{"text":"ü"}'), event(), { ...event(), name: '' }];
  const captured = silo.as(projectToken).events;
  await captured.captureEvents({ events, superProperties: '' });
  // Again: duplicates, and one that is new.
  await captured.captureEvents({ events: [...events, event()], superProperties: '{"a":1}' });
  const days = await usage(api, { projectId });
  // Two of them where midnight has passed meanwhile.
  const possible = new Set([firstDay, today()]);
  t.true(days.length === 1 || days.length === possible.size);
  for (const { day } of days) t.true(possible.delete(day), day);
  const bytes = 3 * 'seenada'.length + Buffer.byteLength('{"text":"ü"}{}{"a":1}');
  t.deepEqual(totals(days), { events: 3, bytes });
  for (const day of days) t.like(day, { projectId, organizationId });
  t.deepEqual(await usage(api, { organizationId }), days);
  t.deepEqual(await usage(api, { organizationId }, { lastDay: '2020-01-01' }), []);
  await api.projects.deleteProject({ projectId, etag: '', requestId: '' });
  t.deepEqual(await usage(api, { organizationId }), days, 'also of a deleted project');
});

test('a request for usage names one target, and 1-366 days', async (t) => {
  const { silo } = t.context;
  const [ada, eve] = [await silo.signUp('Ada'), await silo.signUp('Eve')];
  const { projectId, organization, api, projectToken } = ada;
  const organizationId = organization.id;
  await refused(t, usage(api, {}), 'INVALID_FIELD');
  await refused(t, usage(api, { organizationId, projectId }), 'INVALID_FIELD');
  await refused(t, usage(api, { projectId }, { firstDay: '2020-01-01' }), 'INVALID_FIELD');
  await refused(t, usage(api, { projectId }, { lastDay: '2026-02-30' }), 'INVALID_FIELD');
  await refused(t, usage(eve.api, { projectId }), 'PROJECT_NOT_FOUND');
  await refused(t, usage(eve.api, { organizationId }), 'ORGANIZATION_NOT_FOUND');
  await refused(t, usage(silo.as(projectToken), { projectId }), 'TOKEN_INVALID');
});

test('a page token of usage belongs to its account', async (t) => {
  const { silo } = t.context;
  const [ada, eve] = [await silo.signUp('Ada'), await silo.signUp('Eve')];
  const organizationId = ada.organization.id;
  await choosePlan(ada.api, organizationId);
  await join(ada, eve, Level.LEVEL_MEMBER);
  const { id: projectId } = await createProject(ada.api, organizationId);
  const { projectToken } = await ada.api.projectTokens.getProjectToken({ projectId });
  for (const each of [ada.projectToken, projectToken?.token]) {
    await silo.as(each).events.captureEvents({ events: [event()], superProperties: '' });
  }
  const days = { ...nobody, organizationId, firstDay: '', lastDay: '', pageSize: 1 };
  const { nextPageToken: pageToken } = await ada.api.events.getUsage({ ...days, pageToken: '' });
  t.not(pageToken, '');
  t.is((await ada.api.events.getUsage({ ...days, pageToken })).days.length, 1);
  await refused(t, eve.api.events.getUsage({ ...days, pageToken }), 'INVALID_FIELD');
});

test('what was captured before a move stays with the old owner, also in a flood', async (t) => {
  const { silo } = t.context;
  const [ada, eve] = [await silo.signUp('Ada'), await silo.signUp('Eve')];
  const { projectId, organizationId, projectToken } = await createOrganization(ada.api);
  await choosePlan(ada.api, organizationId);
  await createProject(ada.api, organizationId);
  await choosePlan(eve.api, eve.organization.id);
  await join(eve, ada, Level.LEVEL_ADMIN);
  const captured = silo.as(projectToken).events;
  let acknowledged = 0;
  let isOver = false;
  const flood = async () => {
    while (!isOver) {
      const events = [event(), event(), event()];
      const [outcome] = await outcomes([captured.captureEvents({ events, superProperties: '' })]);
      if (outcome === 'OK') acknowledged += events.length;
      else t.fail(outcome);
    }
  };
  const flooding = Promise.all(Array.from({ length: 8 }, flood));
  // What a former owner captured is settled when the move has returned: it grows no more.
  const settled: [string, number][] = [];
  for (const [there, from] of [
    [eve.organization.id, organizationId],
    [organizationId, eve.organization.id],
    [eve.organization.id, organizationId],
  ] as const) {
    await moveProject(ada.api, projectId, there);
    settled.push([from, totals(await usage(ada.api, { organizationId: from })).events]);
  }
  isOver = true;
  await flooding;
  const before = totals(await usage(ada.api, { organizationId })).events;
  const after = totals(await usage(eve.api, { organizationId: eve.organization.id })).events;
  t.is(before + after, acknowledged);
  t.true(before > 0 && after > 0);
  t.deepEqual(settled.at(-1), [organizationId, before]);
  t.deepEqual(
    totals(await usage(eve.api, { projectId })).events,
    after,
    'of the project, what the present owner had of it',
  );
  const stored = silo.mongo.db(`${silo.databasePrefix}_project`).collection('captured_events');
  t.is(await stored.countDocuments({ '_id.project': projectId } as object), acknowledged);
});
