/** Project killed (-9) while it captures: every acknowledged event once, and usage counts just these. */
import { randomUUID } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import type { SignedUp } from '../harness/clients.ts';
import { eventually } from '../harness/eventually.ts';
import { outcomes } from '../harness/refusals.ts';
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
  silo = await startFaultSilo();
});
test.beforeEach(() => makeWhole(silo));
test.after.always(() => silo?.[Symbol.asyncDispose]());

/** A batch that can be sent again: its events have UUIDs. */
function newBatch({ projectToken }: SignedUp) {
  const events = Array.from({ length: perBatch }, () => ({
    ...{ uuid: randomUUID(), name: 'seen', distinctId: 'ada' },
    ...{ timestamp: '', properties: '{}' },
  }));
  const capture = () => silo.as(projectToken).events.captureEvents({ events, superProperties: '' });
  return { capture, uuids: events.map(({ uuid }) => uuid) };
}

/** What is stored of the project, which usage must count exactly. */
async function stored(t: ExecutionContext, { api, projectId }: SignedUp): Promise<string[]> {
  const found = await silo.mongo
    .db('silo_project')
    .collection<{ _id: { project: string; uuid: { toString(format: 'hex'): string } } }>(
      'captured_events',
    )
    .find({ '_id.project': projectId }, { readConcern: { level: 'majority' } })
    .toArray();
  const { days } = await eventually(() =>
    api.events.getUsage({
      ...{ organizationId: '', projectId, firstDay: '', lastDay: '' },
      ...{ pageSize: 0, pageToken: '' },
    }),
  );
  const total = (of: 'events' | 'bytes') => days.reduce((sum, day) => sum + (day[of] ?? 0), 0);
  t.is(total('events'), found.length);
  t.is(total('bytes'), found.length * 'seenada{}'.length);
  return found.map(({ _id }) => _id.uuid.toString('hex')).sort();
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
  t.deepEqual(await stored(t, ada), named(acknowledged));
});

for (const outcome of ['lost', 'done'] as const) {
  test.serial(
    `killed with its commit on the way, ${outcome}: the batch is wholly there, or not`,
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
      // The server may take longer to do it than a commit of a capture may last.
      const found = await stored(t, ada);
      t.deepEqual(found, outcome === 'done' && found.length > 0 ? named(uuids) : []);
      await eventually(capture);
      await eventually(capture);
      t.deepEqual(await stored(t, ada), named(uuids));
      t.deepEqual(await outcomes([capture()]), ['OK']);
    },
  );
}
