import type { Transaction } from '@silo/log/event-log.ts';
import { mutation, testEventLog } from '@silo/log/test/support.ts';
import { prepare } from '@silo/mongo/test/support.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { fold, foldVersion } from '@silo/runtime/fold.ts';
import { newId } from '@silo/tokens/ids.ts';
import test, { type ExecutionContext } from 'ava';
import { MongoClient } from 'mongodb';
import { required } from '../../../test/harness/environment.ts';
import { newProject } from '../rules/new-project.ts';
import { settingsOf } from '../rules/settings.ts';
import type { ProjectDocument, SlotsDocument } from '../store/documents.ts';
import { createMigratingProjectStore } from '../store/migrating-projects.ts';
import { createMoveStore } from '../store/moves.ts';
import { type Search, searchPipeline } from '../store/project-search.ts';
import { createProjectStore, type ProjectStore } from '../store/projects.ts';
import { storeMigrations } from '../store/set-up.ts';
import { createSlotStore } from '../store/slots.ts';

const signal = () => AbortSignal.timeout(600_000);
const [ours, theirs] = [newId('org_us'), newId('org_us')];
const now = new Date('2025-01-01T00:00:00Z');
const settings = settingsOf(undefined, 'settings');

function project(organizationId: string, name: string): ProjectDocument {
  return newProject({ name, settings }, { id: newId('prj'), organizationId, now });
}

async function testStores(t: ExecutionContext) {
  const { connection, eventLog } = await testEventLog(t);
  await prepare(connection.db, storeMigrations);
  const inTransaction = async <T>(body: (tx: Transaction) => Promise<T>): Promise<T> =>
    (await eventLog.decide(mutation(), body)).value;
  return {
    db: connection.db,
    projects: createProjectStore(connection.db),
    slots: createSlotStore(connection.db),
    inTransaction,
  };
}

/** Two organizations with a project of the same name each. */
async function twoTenants(t: ExecutionContext) {
  const stores = await testStores(t);
  const [mine, foreign] = [project(ours, 'Same'), project(theirs, 'Same')];
  await stores.inTransaction((tx) => stores.projects.insert(tx, [mine, foreign]));
  return { ...stores, mine, foreign };
}

const ids = (found: readonly ProjectDocument[]) => found.map(({ _id }) => _id);

function searchOf(options: Partial<Search>): Search {
  return { organizationIds: [ours], wholeIds: [], text: '', size: 9, ...options };
}

/** Ids of the search results. */
async function found(projects: ProjectStore, options: Partial<Search>): Promise<string[]> {
  const { items } = await projects.search(searchOf(options), signal());
  return items.flatMap(({ project: each }) => each?._id ?? []);
}

test('the fact of a project is its owner and state; a missing project has none', async (t) => {
  const { projects, mine } = await twoTenants(t);
  t.deepEqual(await projects.fact(mine._id, signal()), {
    organizationId: ours,
    state: ProjectState.PROJECT_STATE_ACTIVE,
    capture: {
      ...{ appUrls: [], anonymizeIps: false, retentionDays: 0 },
      ...{ generation: 0, indexedProperties: [] },
    },
    migratedTo: undefined,
  });
  t.is(await projects.fact(newId('prj'), signal()), undefined);
});

test('reads return only the organization’s own projects', async (t) => {
  const { projects, mine, foreign, inTransaction } = await twoTenants(t);
  t.deepEqual(await projects.get(ours, mine._id, signal()), mine);
  t.is(await projects.get(ours, foreign._id, signal()), undefined);
  const { items } = await projects.list(
    ours,
    { afterId: '', size: 9, showDeleted: false },
    signal(),
  );
  t.deepEqual(ids(items), [mine._id]);
  t.deepEqual(await found(projects, { text: 'sam' }), [mine._id]);
  const only = { organizationIds: [], projectIds: [foreign._id] };
  t.deepEqual(await found(projects, { text: 'sam', only }), []);
  t.deepEqual(await inTransaction((tx) => projects.read(tx, ours, mine._id)), mine);
  t.is(await inTransaction((tx) => projects.read(tx, ours, foreign._id)), undefined);
  const names = [{ name: 'Same', searchName: 'same' }];
  const existing = (id: string) => inTransaction((tx) => projects.existingNames(tx, id, names));
  t.deepEqual(await existing(ours), ['Same']);
  t.deepEqual(await existing(newId('org_us')), []);
});

test('changes affect only the organization’s projects, at the expected revision', async (t) => {
  const { projects, mine, foreign, inTransaction } = await twoTenants(t);
  const change = (id: string, expected: { organizationId: string; revision?: number }) =>
    inTransaction((tx) => projects.change(tx, id, expected, { name: 'New' }));
  t.is(await change(foreign._id, { organizationId: ours }), undefined);
  t.is(await change(mine._id, { organizationId: ours, revision: 7 }), undefined);
  t.like(await change(mine._id, { organizationId: ours, revision: 1 }), {
    name: 'New',
    revision: 2,
  });
  const to = { organizationId: ours, moveId: newId('mov') };
  const stolen = await inTransaction((tx) =>
    projects.transfer(tx, [foreign._id], { organizationId: ours }, to),
  );
  t.is(stolen, undefined);
  const removed = await inTransaction((tx) =>
    projects.remove(tx, foreign._id, { organizationId: ours }, now),
  );
  t.is(removed, undefined);
  t.deepEqual(await projects.get(theirs, foreign._id, signal()), foreign);
});

test('a deleted project is not returned, and is purged when it is due', async (t) => {
  const { db, projects, mine, foreign, inTransaction } = await twoTenants(t);
  const purgeTime = new Date(now.getTime() + 1);
  await inTransaction((tx) => projects.remove(tx, mine._id, { organizationId: ours }, purgeTime));
  const stored = db.collection<ProjectDocument>('projects');
  await stored.updateOne({ _id: mine._id }, { $set: { purgeTime } });
  t.is(await projects.get(ours, mine._id, signal()), undefined);
  const listed = async (showDeleted: boolean) =>
    (await projects.list(ours, { afterId: '', size: 9, showDeleted }, signal())).items;
  t.deepEqual(await listed(false), []);
  t.like(await listed(true), [{ _id: mine._id, purgeTime }]);
  t.deepEqual(await projects.due(now, { limit: 9 }, signal()), []);
  t.false(await projects.beginPurge(mine._id, now, signal()));
  t.false(await projects.beginPurge(foreign._id, purgeTime, signal()));
  await projects.purge(mine._id, signal());
  t.deepEqual(await projects.due(purgeTime, { limit: 9 }, signal()), [mine._id]);
  t.true(await projects.beginPurge(mine._id, purgeTime, signal()));
  t.true(await projects.beginPurge(mine._id, purgeTime, signal()), 'a repeat succeeds');
  t.deepEqual(await listed(true), [], 'it cannot be restored');
  await projects.purge(mine._id, signal());
  t.is(await projects.fact(mine._id, signal()), undefined);
  t.not(await projects.fact(foreign._id, signal()), undefined);
});

test('a project deleted by a process whose clock is behind is kept for the full time', async (t) => {
  const { projects, mine, inTransaction } = await twoTenants(t);
  const [dayMs, minuteMs] = [24 * 60 * 60 * 1000, 60 * 1000];
  const remove = (purgeTime: Date) =>
    inTransaction((tx) => projects.remove(tx, mine._id, { organizationId: ours }, purgeTime));
  const beganMs = Date.now();
  const removed = await remove(new Date(beganMs + 7 * dayMs - 30 * dayMs));
  const keptMs = (removed?.purgeTime?.getTime() ?? 0) - beganMs;
  t.true(keptMs >= 7 * dayMs - minuteMs, `${keptMs} ms`);
  t.like(removed, { revision: mine.revision + 1, state: ProjectState.PROJECT_STATE_DELETED });
  t.deepEqual(await projects.due(new Date(), { limit: 9 }, signal()), []);
});

test('a project is due only if it is by MongoDB’s clock, too', async (t) => {
  const { projects, mine, inTransaction } = await twoTenants(t);
  const purgeTime = new Date(Date.now() + 600_000);
  await inTransaction((tx) => projects.remove(tx, mine._id, { organizationId: ours }, purgeTime));
  t.deepEqual(await projects.due(purgeTime, { limit: 9 }, signal()), []);
  t.false(await projects.beginPurge(mine._id, purgeTime, signal()));
});

test('a search text is never interpreted as a pattern', async (t) => {
  const { projects, inTransaction } = await testStores(t);
  const awkward = [
    'a.c',
    '(a+)+$',
    '[x',
    '\\Q',
    'é–ß',
    '{$ne}',
    '^',
    'a b',
    '#',
    '$where',
    '\u{1f600}',
    '\0',
  ];
  const all = awkward.map((name) => project(ours, name));
  await inTransaction((tx) => projects.insert(tx, [...all, project(ours, 'abc')]));
  for (const each of all) {
    t.deepEqual(await found(projects, { text: fold(each.name) }), [each._id], each.name);
  }
});

test('names that an older version has folded are folded again at the start', async (t) => {
  const { db, projects, inTransaction } = await testStores(t);
  const all = ['Café', 'İstanbul', 'Plain'].map((name) => project(ours, name));
  await inTransaction((tx) => projects.insert(tx, all));
  const stored = db.collection<ProjectDocument>('projects');
  for (const { _id, name } of all) {
    const old = { $set: { searchName: name.toLowerCase() }, $unset: { foldVersion: '' } } as const;
    await stored.updateOne({ _id }, old, { writeConcern: { w: 'majority' } });
  }
  t.deepEqual(await found(projects, { text: fold('istanbul') }), []);
  await Promise.all([prepare(db, storeMigrations), prepare(db, storeMigrations)]);
  t.deepEqual(await found(projects, { text: fold('istanbul') }), [all[1]?._id]);
  t.is(await stored.countDocuments({ foldVersion }), 3);
});

test('moves that the first releases recorded are listed after the start, with one project each', async (t) => {
  const { db } = await testStores(t);
  const [moveId, projectId] = [newId('mov'), newId('prj')];
  const organizations = { sourceOrganizationId: ours, destinationOrganizationId: theirs };
  // Recent: MongoDB removes older records at any time.
  const recorded = { ...organizations, actorAccountId: newId('acc'), moveTime: new Date() };
  const moves = db.collection<{ _id: string }>('moves', { writeConcern: { w: 'majority' } });
  await moves.insertOne({ _id: moveId, projectId, ...recorded } as { _id: string });
  await Promise.all([prepare(db, storeMigrations), prepare(db, storeMigrations)]);
  const page = { beforeId: undefined, size: 9 };
  const store = createMoveStore(db);
  const { items } = await store.list({ organizationId: theirs, projectId }, page, signal());
  const expected = { projectIds: [projectId], organizationIds: [ours, theirs], revision: 1 };
  t.deepEqual(items, [{ _id: moveId, ...recorded, ...expected }]);
});

test('a search continues after a position among equal names', async (t) => {
  const { projects, inTransaction } = await testStores(t);
  const all = ['b', 'A', 'a', 'B', 'c'].map((name) => project(ours, name));
  await inTransaction((tx) => projects.insert(tx, all));
  const { items: whole } = await projects.search(searchOf({}), signal());
  t.deepEqual(
    whole.map(({ key }) => key.searchName),
    ['a', 'a', 'b', 'b', 'c'],
  );
  const whence = whole.map(({ key }) => key._id);
  for (const [index, { key }] of whole.entries()) {
    const after = { organizationId: ours, searchName: key.searchName, id: key._id };
    t.deepEqual(await found(projects, { after }), whence.slice(index + 1));
  }
});

test('a search finds its keys in the index alone, and without a sort for one organization', async (t) => {
  const { db, projects, inTransaction } = await testStores(t);
  await inTransaction((tx) => projects.insert(tx, [project(ours, 'x'), project(theirs, 'y')]));
  const after = { organizationId: ours, searchName: 'a', id: newId('prj') };
  const only = { organizationIds: [ours], projectIds: [newId('prj')] };
  for (const options of [{}, { text: 'x' }, { text: 'x', after }, { text: 'x', after, only }]) {
    for (const [organizationIds, wholeIds] of [
      [[theirs, ours], [theirs]],
      [[theirs, ours], []],
      [[ours], []],
      [[ours], [ours]],
    ] as const) {
      const search = searchOf({ organizationIds, wholeIds, ...options });
      const plan = await db
        .collection('projects')
        .aggregate(searchPipeline(search, organizationIds, 9), { hint: 'by_name' })
        .explain();
      const text = JSON.stringify(plan);
      t.notRegex(text, /"FETCH"|COLLSCAN/, JSON.stringify(search));
      if (organizationIds.length === 1) t.notRegex(text, /"SORT"|"sortKey"/);
    }
  }
});

test('a search sends as many commands for 50 organizations as for two', async (t) => {
  const { db, inTransaction, projects } = await testStores(t);
  const many = Array.from({ length: 50 }, () => newId('org_us'));
  await inTransaction((tx) =>
    projects.insert(
      tx,
      many.map((id) => project(id, 'x')),
    ),
  );
  await using client = new MongoClient(required('MONGODB_URL'), { monitorCommands: true });
  const watched = createProjectStore(client.db(db.databaseName));
  const commandsFor = async (organizationIds: string[]) => {
    const commands: string[] = [];
    const listen = ({ commandName }: { commandName: string }) => void commands.push(commandName);
    client.on('commandStarted', listen);
    t.is((await found(watched, { organizationIds, size: 50 })).length, organizationIds.length);
    client.off('commandStarted', listen);
    return commands;
  };
  t.deepEqual(await commandsFor(many.slice(0, 2)), ['aggregate', 'aggregate', 'find']);
  t.deepEqual(await commandsFor(many), ['aggregate', 'aggregate', 'find']);
});

test('a search returns organizations in the given order, and ends by count or bytes', async (t) => {
  const { projects, inTransaction } = await testStores(t);
  const large = { timeZone: 'UTC', appUrls: ['x'.repeat(400_000)], anonymizeIps: false };
  const [small, first, second, last] = [
    project(ours, 'b'),
    { ...project(theirs, 'a'), settings: large },
    { ...project(theirs, 'b'), settings: large },
    { ...project(theirs, 'c'), settings: large },
  ];
  await inTransaction((tx) => projects.insert(tx, [small, first, second, last]));
  const search = searchOf({ organizationIds: [theirs, ours] });
  const page = await projects.search(search, signal());
  t.true(page.hasMore);
  t.deepEqual(
    page.items.map(({ key }) => key._id),
    [first._id, second._id],
  );
  const after = { organizationId: theirs, searchName: 'b', id: second._id };
  const rest = await projects.search({ ...search, after }, signal());
  t.false(rest.hasMore);
  t.deepEqual(
    rest.items.map(({ key }) => key._id),
    [last._id, small._id],
  );
  const one = await projects.search({ ...search, size: 1 }, signal());
  t.is(one.items.length, 1);
  t.true(one.hasMore);
});

function slotsOf(organizationId: string, values: Partial<SlotsDocument> = {}): SlotsDocument {
  const rest = { limit: null, count: 1, closed: false, revision: 1, tries: {} };
  return { _id: organizationId, ...rest, ...values };
}

test('slots are opened once', async (t) => {
  const { slots, inTransaction } = await testStores(t);
  t.true(await inTransaction((tx) => slots.open(tx, slotsOf(ours, { limit: 1 }))));
  t.false(await inTransaction((tx) => slots.open(tx, slotsOf(ours, { limit: 9 }))));
  t.deepEqual((await slots.getMany([ours], signal())).get(ours), slotsOf(ours, { limit: 1 }));
});

test('slots are taken all or none, only from the given organization, never from closed ones', async (t) => {
  const { slots, inTransaction } = await testStores(t);
  await inTransaction(async (tx) => {
    await slots.open(tx, slotsOf(ours, { limit: 3 }));
    await slots.open(tx, slotsOf(theirs, { limit: 1, count: 0, closed: true }));
  });
  const take = (id: string, more: number) => inTransaction((tx) => slots.take(tx, id, more));
  t.false(await take(ours, 3));
  t.true(await take(ours, 2));
  t.false(await take(ours, 1));
  t.false(await take(theirs, 1));
  t.false(await take(newId('org_us'), 1));
  await inTransaction((tx) => slots.free(tx, ours));
  const both = await inTransaction((tx) => slots.readMany(tx, [ours, theirs]));
  t.like(both.get(ours), { count: 2, revision: 3 });
  t.like(both.get(theirs), { count: 0, revision: 1 });
});

test('no slot is freed that no project holds', async (t) => {
  const { slots, inTransaction } = await testStores(t);
  await inTransaction((tx) => slots.open(tx, slotsOf(ours, { count: 0 })));
  await t.throwsAsync(inTransaction((tx) => slots.free(tx, ours)));
});

test('a slot is transferred only if the source keeps one and the destination has a free one', async (t) => {
  const { slots, inTransaction } = await testStores(t);
  await inTransaction(async (tx) => {
    await slots.open(tx, slotsOf(ours, { count: 2 }));
    await slots.open(tx, slotsOf(theirs, { limit: 2, count: 1 }));
  });
  const transfer = (from: string, to: string, kept = 1) =>
    inTransaction(async (tx) => {
      const move = { sourceId: from, destinationId: to, count: 1, kept };
      if (!(await slots.transfer(tx, move))) throw new Error('refused');
    });
  await transfer(ours, theirs);
  await t.throwsAsync(transfer(ours, theirs), { message: 'refused' });
  const both = await slots.getMany([ours, theirs], signal());
  t.like(both.get(ours), { count: 1 });
  t.like(both.get(theirs), { count: 2 });
});

test('the result of a conditional change is stored with the slots, and only with them', async (t) => {
  const { slots, inTransaction } = await testStores(t);
  await inTransaction((tx) => slots.open(tx, slotsOf(ours)));
  await inTransaction((tx) => slots.open(tx, slotsOf(theirs)));
  const after = slotsOf(ours, { tries: { limit: { revision: 4, result: 2, count: 1 } } });
  await inTransaction((tx) => slots.replace(tx, after));
  t.deepEqual(await inTransaction((tx) => slots.read(tx, ours)), after);
  t.deepEqual(await inTransaction((tx) => slots.read(tx, theirs)), slotsOf(theirs));
  await t.throwsAsync(inTransaction((tx) => slots.replace(tx, slotsOf(newId('org_us')))));
});

test('a project counts as left from its open migration on, while it is known here', async (t) => {
  const { db } = await testStores(t);
  const { haveAnyLeft } = createMigratingProjectStore(db);
  const records = db.collection<{ _id: string }>('project_migrations');
  const stored = db.collection<ProjectDocument>('projects');
  t.false(await haveAnyLeft(signal()));
  await stored.insertOne(project(ours, 'Staying'));
  await records.insertOne({ _id: 'mig_1', ...{ side: 'destination', isOpen: true } });
  t.false(await haveAnyLeft(signal()));
  await records.insertOne({
    _id: 'mig_2',
    ...{ side: 'source', isOpen: true, projectId: 'prj_2' },
  });
  t.true(await haveAnyLeft(signal()));
  await records.updateOne({ _id: 'mig_2' }, { $unset: { isOpen: '' } });
  t.false(await haveAnyLeft(signal()));
  await stored.updateOne({}, { $set: { state: ProjectState.PROJECT_STATE_MIGRATED } });
  t.true(await haveAnyLeft(signal()));
});
