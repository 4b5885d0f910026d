import { randomUUID } from 'node:crypto';
import { PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import { newId } from '@silo/tokens/ids.ts';
import test from 'ava';
import { type Document, MongoClient } from 'mongodb';
import { required } from '../../../test/harness/environment.ts';
import { type CheckedFilter, checkFilter } from '../rules/events/filter.ts';
import { placesWith } from '../rules/events/indexed-properties.ts';
import type { CapturedEventDocument } from '../store/event-collection.ts';
import {
  createEventQueries,
  eventQueries,
  narrowFor,
  openCursors,
  scan,
  scanBounds,
} from '../store/event-queries.ts';
import { captured, condition, insert, receiveTime, stagesOf } from './event-support.ts';
import { testWorld } from './support.ts';

const { PROPERTY_OPERATOR_EQUAL: equal, PROPERTY_OPERATOR_IN: oneOf } = PropertyOperator;
const { PROPERTY_OPERATOR_EXISTS: exists, PROPERTY_OPERATOR_NOT_EQUAL: not } = PropertyOperator;
const { PROPERTY_OPERATOR_LESS: less, PROPERTY_OPERATOR_GREATER: greater } = PropertyOperator;
const { PROPERTY_OPERATOR_PREFIX: prefix } = PropertyOperator;
const all = checkFilter(undefined);
const chosen = placesWith([{ name: 'plan', place: 2 }]);
const range = { startTime: new Date(0), endTime: receiveTime };

/** A filter for each index, alone and with a range of times, and filters without an index. */
const shapes: Record<string, CheckedFilter> = {
  everything: all,
  times: { ...all, ...range },
  'one name': { ...all, names: ['seen'] },
  'several names': { ...all, ...range, names: ['seen', 'other'] },
  'a distinct id': { ...all, ...range, distinctId: 'ada', names: ['seen'] },
  '$host =': condition('$host', equal, '"a"'),
  '$host = null': condition('$host', equal, 'null'),
  '$host in': { ...condition('$host', oneOf, '"a"', '1', 'true', 'null'), ...range },
  '$current_url =': condition('$current_url', equal, '"https://a.example.com/"'),
  '$host exists': condition('$host', exists),
  '$host ≠': condition('$host', not, '"a"'),
  'a property without an index': condition('plan', equal, '"free"'),
  'a chosen property =': { ...condition('plan', equal, '"free"'), places: chosen },
  'a chosen property in': {
    ...condition('plan', oneOf, '"free"', 'null'),
    ...{ ...range, places: chosen },
  },
  '$host prefix': condition('$host', prefix, '"a"'),
  '$host <': { ...condition('$host', less, '"b"'), ...range },
  '$host >, of a name': { ...condition('$host', greater, '"0"'), names: ['seen'] },
  'a chosen property >': { ...condition('plan', greater, '"a"'), places: chosen },
};

for (const [what, filter] of Object.entries(shapes)) {
  test(`a query of ${what} uses an index that begins with the project, in its order`, async (t) => {
    const { db, captured: store, indexes } = await testWorld(t);
    await indexes.createPlace(2, AbortSignal.timeout(600_000));
    const events = db.collection<CapturedEventDocument>('captured_events');
    const [projectId, other] = [newId('prj'), newId('prj')];
    for (const id of [projectId, other]) {
      const batch = Array.from({ length: 50 }, (_, index) =>
        captured({ $host: 'a', plan: 'free' }, -index, chosen),
      );
      await insert(store, id, batch);
    }
    const narrow = await narrowFor(events, projectId, filter, AbortSignal.timeout(600_000));
    const last = { time: new Date(receiveTime.getTime() - 1), uuid: randomUUID() };
    for (const after of [undefined, last]) {
      for (const { query, hint, sort } of eventQueries(projectId, filter, after, { narrow })) {
        // mongod cuts long bounds in its explanation in the middle of a character.
        const options = { hint, sort, enableUtf8Validation: false };
        const found = events.find(query as Document, options);
        const explained = await found.explain('executionStats');
        const stages = stagesOf(explained.queryPlanner.winningPlan);
        const names = stages.map(({ stage }) => String(stage));
        t.false(names.includes('COLLSCAN'), names.join());
        // The keys of a narrow range are sorted before documents are read.
        if (narrow === undefined) t.false(names.includes('SORT'), names.join());
        else t.true(names.indexOf('FETCH') < names.indexOf('SORT'), names.join());
        const scans = stages.filter(({ stage }) => stage === 'IXSCAN');
        t.true(scans.length > 0);
        for (const { keyPattern } of scans) t.is(Object.keys(keyPattern)[0], '_id.project');
        t.true(explained.executionStats.totalKeysExamined <= 60, 'no keys of the other project');
      }
    }
  });
}

test('an indexed property is found by its value and type, a long text by its full value', async (t) => {
  const { captured: store, eventQueries: reader } = await testWorld(t);
  const [projectId, signal] = [newId('prj'), AbortSignal.timeout(600_000)];
  const long = 'x'.repeat(300);
  const values = ['a', 1, true, null, { a: 1 }, `${long}1`, `${long}2`, '😀'.repeat(200), '\ufffd'];
  const batch = values.map(($host, index) => captured({ $host }, -index));
  await insert(store, projectId, [...batch, captured({})]);
  for (const [index, value] of values.entries()) {
    if (typeof value === 'object' && value !== null) continue;
    const filter = condition('$host', equal, JSON.stringify(value));
    const page = await reader.query(
      projectId,
      filter,
      { deletions: [], after: undefined, size: 10 },
      signal,
    );
    t.deepEqual(
      page.events.map(({ uuid }) => uuid),
      [batch[index]?.uuid],
      String(value),
    );
  }
  const lone = condition('$host', equal, '"\\ud800"');
  const page = { deletions: [], after: undefined, size: 10 };
  t.deepEqual((await reader.query(projectId, lone, page, signal)).events, []);
});

test('a page that the index decides is one command', async (t) => {
  const { db, captured: store } = await testWorld(t);
  const [projectId, signal] = [newId('prj'), AbortSignal.timeout(600_000)];
  await insert(
    store,
    projectId,
    Array.from({ length: 30 }, (_, index) => captured({ $host: 'a', plan: 'free' }, -index)),
  );
  await using client = new MongoClient(required('MONGODB_URL'), { monitorCommands: true });
  const { query } = createEventQueries(client.db(db.databaseName));
  const commandsOf = async (filter: CheckedFilter) => {
    const names: string[] = [];
    const listen = ({ commandName }: { commandName: string }) => names.push(commandName);
    client.on('commandStarted', listen);
    const wanted = { deletions: [], after: undefined, size: 10 };
    const { events, next } = await query(projectId, filter, wanted, signal);
    client.off('commandStarted', listen);
    t.is(events.length, 10);
    t.is(next?.uuid, events.at(-1)?.uuid);
    return names;
  };
  await commandsOf(all); // connects
  const decided = { everything: all, times: { ...all, ...range, endTime: new Date(8e15) } };
  const byIndex = { ...decided, '$host =': condition('$host', equal, '"a"') };
  for (const [what, filter] of Object.entries(byIndex)) {
    t.deepEqual(await commandsOf(filter), ['find'], what);
  }
  // More events may have to be read for a page.
  t.deepEqual(await commandsOf(condition('plan', equal, '"free"')), ['find', 'killCursors']);
});

test('a filter without an index scans a bounded number of events per page', async (t) => {
  const { captured: store, eventQueries: reader } = await testWorld(t);
  const [projectId, signal] = [newId('prj'), AbortSignal.timeout(600_000)];
  const count = scanBounds.countMax + 10;
  const batch = Array.from({ length: count }, (_, index) =>
    captured({ rare: index === count - 1 }, -index),
  );
  await insert(store, projectId, batch);
  const filter = condition('rare', equal, 'true');
  const first = await reader.query(
    projectId,
    filter,
    { deletions: [], after: undefined, size: 10 },
    signal,
  );
  t.deepEqual(first.events, []);
  const second = await reader.query(
    projectId,
    filter,
    { deletions: [], after: first.next, size: 10 },
    signal,
  );
  t.deepEqual(
    second.events.map(({ uuid }) => uuid),
    [batch.at(-1)?.uuid],
  );
  t.is(second.next, undefined);
});

test('a scan yields to the event loop after each MiB of compared events', async (t) => {
  const { db, captured: store } = await testWorld(t);
  const projectId = newId('prj');
  const batch = Array.from({ length: 8 }, (_, index) =>
    captured({ text: 'x'.repeat(900_000) }, -index),
  );
  await insert(store, projectId, batch);
  let turns = 0;
  const turnsAt: number[] = [];
  const count = () => {
    turns++;
    if (turnsAt.length < batch.length) setImmediate(count);
  };
  const take = () => turnsAt.push(turns) > 0;
  const events = db.collection<CapturedEventDocument>('captured_events');
  const cursors = openCursors(events, eventQueries(projectId, all, undefined));
  setImmediate(count);
  await scan(cursors, take);
  t.is(new Set(turnsAt).size, batch.length, turnsAt.join());
});
