import { randomUUID } from 'node:crypto';
import { EventFilter, PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import { CaptureResult } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { Project, PropertyIndexState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { eventually, untilAnswered } from '../harness/eventually.ts';
import { present, scenarios } from './support.ts';

const test = scenarios();

const { CAPTURE_RESULT_STORED: stored, CAPTURE_RESULT_DUPLICATE: duplicate } = CaptureResult;
const callers = 4;
const perBatch = 10;
/** Minimum number of batches that each caller sends before and after the change. */
const batchesAround = 10;

test('an index that is ready finds every event that was captured while it was requested and built', async (t) => {
  const { silo } = t.context;
  const { api, projectId, projectToken } = await silo.signUp();
  const acknowledged: string[] = [];
  let batches = 0;
  let isOver = false;
  const flood = async () => {
    while (!isOver) {
      const events = Array.from({ length: perBatch }, () => ({
        ...{ uuid: randomUUID(), name: 'seen', distinctId: 'ada', timestamp: '' },
        properties: '{"plan":"free"}',
      }));
      const request = { events, superProperties: '' };
      let tries = 0;
      const { outcomes } = await untilAnswered(() => {
        tries++;
        return silo.once(projectToken).events.captureEvents(request);
      });
      for (const { uuid, result } of outcomes) {
        // An attempt that was not answered may have stored it.
        const isStored = result === stored || (tries > 1 && result === duplicate);
        t.true(isStored, `${result} after ${tries} tries`);
        acknowledged.push(uuid);
      }
      batches++;
    }
  };
  const flooding = Promise.all(Array.from({ length: callers }, flood));
  const moreBatches = async () => {
    const wanted = batches + callers * batchesAround;
    await eventually(() => {
      if (batches < wanted) throw new Error(`${batches} of ${wanted} batches`);
    });
  };
  await moreBatches();
  const project = Project.fromPartial({ id: projectId, settings: { indexedProperties: ['plan'] } });
  const updateMask = ['settings.indexed_properties'];
  const updated = await api.projects.updateProject({ project, updateMask, requestId: '' });
  t.deepEqual(updated.project?.settings?.indexedProperties, ['plan']);
  t.like(updated.project?.propertyIndexes[0], {
    name: 'plan',
    state: PropertyIndexState.PROPERTY_INDEX_STATE_BUILDING,
  });
  await eventually(async () => {
    const [index] = present((await api.projects.getProject({ projectId })).project).propertyIndexes;
    if (index?.state !== PropertyIndexState.PROPERTY_INDEX_STATE_READY) {
      throw new Error(`the index is in state ${index?.state}`);
    }
  });
  await moreBatches();
  isOver = true;
  await flooding;

  const filter = EventFilter.fromPartial({
    properties: [
      { name: 'plan', operator: PropertyOperator.PROPERTY_OPERATOR_EQUAL, values: ['"free"'] },
    ],
  });
  const found: string[] = [];
  let pageToken = '';
  do {
    const page = await api.events.queryEvents({ projectId, filter, pageSize: 1_000, pageToken });
    found.push(...page.events.map(({ uuid }) => uuid));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  t.deepEqual(found.toSorted(), acknowledged.toSorted());
});
