import { randomUUID } from 'node:crypto';
import { CountGrouping } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import { eventually } from '../harness/eventually.ts';
import { refused } from '../harness/refusals.ts';
import { scenarios } from './support.ts';

const test = scenarios();

const dayMs = 24 * 60 * 60 * 1000;

test('queries and counts leave out events that are older than the project’s retention', async (t) => {
  const { silo } = t.context;
  const { api, projectId, projectToken } = await silo.signUp();
  const event = (ageDays: number) => ({
    ...{ uuid: randomUUID(), name: `${ageDays} days old`, distinctId: 'ada', properties: '' },
    timestamp: new Date(Date.now() - ageDays * dayMs).toISOString(),
  });
  const events = [event(0), event(3), event(30)];
  await silo.as(projectToken).events.captureEvents({ events, superProperties: '' });
  const filter = undefined;
  const page = { pageSize: 0, pageToken: '' };
  const names = async () => {
    const { events: found } = await api.events.queryEvents({ projectId, filter, ...page });
    return found.map(({ name }) => name);
  };
  const count = async () => {
    const grouping = CountGrouping.COUNT_GROUPING_UNSPECIFIED;
    const wanted = { projectId, filter, grouping, property: '', ...page };
    return (await api.events.countEvents(wanted)).totalCount;
  };
  const keep = (retentionDays: number) =>
    api.projects.updateProject({
      project: Project.fromPartial({ id: projectId, settings: { retentionDays } }),
      updateMask: ['settings.retention_days'],
      requestId: '',
    });
  t.is((await names()).length, 3);
  await keep(7);
  // A server that reads facts by events learns of the change later.
  await eventually(async () => {
    const found = await names();
    if (found.length !== 2) throw new Error(`${found.length} events are returned`);
  });
  t.deepEqual(await names(), ['0 days old', '3 days old']);
  t.is(await count(), 2);
  for (const days of [-1, 3_651]) await refused(t, keep(days), 'INVALID_FIELD');
});
