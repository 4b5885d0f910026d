/**
 * Project, or an edge, is killed (-9) while it captures: every acknowledged event is stored once,
 * and usage counts exactly these. Killed while it removes deleted events, it removes all of them,
 * and no others.
 */
import { randomUUID } from 'node:crypto';
import test from 'ava';
import type { SignedUp } from '../harness/clients.ts';
import { eventually, untilAnswered } from '../harness/eventually.ts';
import { outcomes } from '../harness/refusals.ts';
import { noFilter, query } from '../scenarios/event-requests.ts';
import { Flood, propertiesStored } from './captures/flood.ts';
import { storedAndCounted } from './captures/stored.ts';
import type { Held } from './fail-points.ts';
import {
  type FaultSilo,
  killDuring,
  killService,
  makeWhole,
  startDead,
  startFaultSilo,
} from './fault-silo.ts';

const perBatch = 5;
const callers = 8;
const kills = 4;

let silo: FaultSilo;
test.before(async () => {
  silo = await startFaultSilo({ edges: 1 });
});
test.beforeEach(() => makeWhole(silo));
test.after.always(() => silo?.[Symbol.asyncDispose]());

/** A batch that can be sent again: its events have UUIDs. */
function newBatch({ projectToken }: SignedUp, count = perBatch) {
  const events = Array.from({ length: count }, () => ({
    ...{ uuid: randomUUID(), name: 'seen', distinctId: 'ada' },
    ...{ timestamp: '', properties: '{}' },
  }));
  const capture = () => silo.as(projectToken).events.captureEvents({ events, superProperties: '' });
  return { capture, uuids: events.map(({ uuid }) => uuid) };
}

const named = (uuids: readonly string[]) => uuids.map((uuid) => uuid.replaceAll('-', '')).sort();

test.serial('killed again and again in a flood', async (t) => {
  const ada = await silo.signUp('Ada');
  const acknowledged: string[] = [];
  let isOver = false;
  const flood = async () => {
    while (!isOver) {
      const { capture, uuids } = newBatch(ada);
      await eventually(capture);
      acknowledged.push(...uuids);
    }
  };
  const flooding = Promise.all(Array.from({ length: callers }, flood));
  for (let kill = 0; kill < kills; kill++) {
    const before = acknowledged.length;
    await eventually(() => {
      const count = acknowledged.length - before;
      if (count < 20 * perBatch) throw new Error(`${count} events since the last kill`);
    });
    await killService(silo, 'project');
    await startDead(silo);
  }
  isOver = true;
  await flooding;
  t.deepEqual(await storedAndCounted(t, silo, ada), named(acknowledged));
});

test.serial('edges killed again and again in a flood', async (t) => {
  const { projectToken: token, ...ada } = await silo.signUp('Ada at the edge');
  const urls = silo.edges.map(({ url }) => url);
  const flood = new Flood({ urls, token, sendersEach: callers / 2, perBatch });
  for (let kill = 0; kill < kills; kill++) {
    await flood.taken(20 * perBatch);
    const edge = silo.edges[kill % silo.edges.length]?.process;
    edge?.kill('SIGKILL');
    await edge?.exited;
    await startDead(silo);
  }
  await flood.end();
  t.log(flood.refused, `${flood.acknowledged.length} events`);
  t.deepEqual(flood.dishonest, []);
  t.true(flood.refused.lost > 0);
  const stored = await storedAndCounted(t, silo, ada, propertiesStored);
  t.deepEqual(stored, flood.acknowledged.toSorted());
});

for (const outcome of ['lost', 'done'] as const) {
  test.serial(
    `killed during its commit, ${outcome}: the batch is stored completely, or not at all`,
    async (t) => {
      const ada = await silo.signUp(`Ada ${outcome}`);
      const { capture, uuids } = newBatch(ada);
      const held: Held = {
        ...{ service: 'project', command: 'commitTransaction', collection: 'captured_events' },
        outcome,
      };
      const { outcome: ended } = await killDuring(silo, held, capture);
      t.is((await ended).status, 'rejected');
      await startDead(silo);
      // The server may take longer for it than a capture waits for its commit.
      const found = await storedAndCounted(t, silo, ada);
      t.deepEqual(found, outcome === 'done' && found.length > 0 ? named(uuids) : []);
      await eventually(capture);
      await eventually(capture);
      t.deepEqual(await storedAndCounted(t, silo, ada), named(uuids));
      t.deepEqual(await outcomes([untilAnswered(capture)]), ['OK']);
    },
  );
}

/** More than one transaction removes. */
const deleted = 700;
const removing: { when: string; held: Held }[] = [
  {
    when: 'before it has recorded its progress',
    held: {
      ...{ service: 'project', command: 'delete', collection: 'captured_events' },
      outcome: 'done',
    },
  },
  {
    when: 'before its commit',
    held: {
      ...{ service: 'project', command: 'findAndModify', collection: 'event_deletions' },
      outcome: 'done',
    },
  },
];

for (const { when, held } of removing) {
  test.serial(
    `killed while it removes deleted events, ${when}: each is removed and counted once, later ones stay`,
    async (t) => {
      const ada = await silo.signUp(`Ada ${held.command}`);
      const { api, projectId } = ada;
      await untilAnswered(newBatch(ada, deleted).capture);
      const request = { projectId, filter: noFilter, requestId: randomUUID() };
      const remove = () => api.events.deleteEvents(request);
      await killDuring(silo, held, remove);
      await startDead(silo);
      const { deletion } = await eventually(remove);
      const found = await eventually(() => query(api, { projectId }));
      t.deepEqual(found.events, []);
      const later = newBatch(ada);
      await eventually(later.capture);
      const deletionId = deletion?.id ?? '';
      await eventually(async () => {
        const now = await api.events.getEventDeletion({ projectId, deletionId });
        if (now.deletion?.finishTime === undefined) throw new Error('it is not finished');
        t.is(now.deletion.removedCount, deleted);
      });
      const { events } = await eventually(() => query(api, { projectId }));
      t.deepEqual(named(events.map(({ uuid }) => uuid)), named(later.uuids));
      const stored = silo.mongo.db('silo_project').collection('captured_events');
      t.is(await stored.countDocuments({ '_id.project': projectId } as object), perBatch);
    },
  );
}
