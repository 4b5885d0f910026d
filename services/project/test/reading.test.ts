import { reasonName } from '@silo/errors/reason-name.ts';
import { encodePageToken } from '@silo/mongo/page-token.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { createReading } from '@silo/rpc/reading.ts';
import { bind } from '@silo/rpc/test/bind.ts';
import test from 'ava';
import { eventually } from '../../../test/harness/eventually.ts';
import { getProject } from '../handlers/get-project.ts';
import { listMoveDestinations } from '../handlers/list-move-destinations.ts';
import { listProjects } from '../handlers/list-projects.ts';
import { moveProject } from '../handlers/move-project.ts';
import { previewMove } from '../handlers/preview-move.ts';
import { searchProjects } from '../handlers/search-projects.ts';
import { refusalOf, type TestKey, testWorld, type World } from './support.ts';

async function search(world: World, key: TestKey, query = '', pageSize = 0, pageToken = '') {
  const call = await world.call(key);
  return await bind(searchProjects, world)({ query, pageSize, pageToken }, call);
}

async function names(world: World, key: TestKey, query = '') {
  const { results } = await search(world, key, query);
  return results.map(({ project, organizationName }) => `${organizationName}/${project?.name}`);
}

test('a project that moved since the call was authorized is read where it is', async (t) => {
  const world = await testWorld(t);
  const [owner, member] = [world.key(), world.key()];
  const source = await world.organization(owner);
  const destination = await world.organization(owner);
  const { _id: projectId } = await world.addProject(source.id, 'Moving');
  world.join(member, source.id, Level.LEVEL_MEMBER);
  const [call, other] = [
    await world.call(owner, { projectId }),
    await world.call(member, { projectId }),
  ];
  const ends = { projectId, destinationOrganizationId: destination.id };
  const request = { ...ends, etag: '', requestId: '', planFingerprint: '' };
  await bind(moveProject, world)(request, call);
  const get = bind(getProject, world);
  t.is((await get({ projectId }, call)).project?.organizationId, destination.id);
  t.is(reasonName((await refusalOf(get({ projectId }, other))).reason), 'PROJECT_NOT_FOUND');
});

test('a list is paged, oldest first, and refuses the token of another list', async (t) => {
  const world = await testWorld(t);
  const owner = world.key();
  const { id: organizationId, projectId } = await world.organization(owner);
  const second = await world.addProject(organizationId, 'Second');
  const third = await world.addProject(organizationId, 'Third');
  const call = await world.call(owner, { organizationId });
  const list = (pageSize: number, pageToken = '', id = organizationId) =>
    bind(listProjects, world)(
      { organizationId: id, pageSize, pageToken, showDeleted: false },
      call,
    );
  const first = await list(2);
  const rest = await list(2, first.nextPageToken);
  t.deepEqual(
    [...first.projects, ...rest.projects].map(({ id }) => id).sort(),
    [projectId, second._id, third._id].sort(),
  );
  t.is(rest.nextPageToken, '');
  const other = await world.organization(owner);
  const refused = await refusalOf(list(2, first.nextPageToken, other.id));
  t.is(reasonName(refused.reason), 'INVALID_FIELD');
  const forged = encodePageToken(['ListProjects', organizationId, false], [{ $ne: '' }]);
  t.is(reasonName((await refusalOf(list(2, forged))).reason), 'INVALID_FIELD');
});

test('a search finds by part of either name, in any case, and sorts by both', async (t) => {
  const world = await testWorld(t);
  const [owner, stranger] = [world.key(), world.key()];
  const zebra = await world.organization(owner, { name: 'zebra' });
  const acme = await world.organization(owner, { name: 'Acme' });
  await world.organization(stranger, { name: 'Acme' });
  await world.addProject(zebra.id, 'acme shop');
  await world.addProject(zebra.id, 'Blog');
  await world.addProject(acme.id, 'Über');
  t.deepEqual(await names(world, owner), [
    ...['Acme/Default Project', 'Acme/Über'],
    ...['zebra/acme shop', 'zebra/Blog', 'zebra/Default Project'],
  ]);
  t.deepEqual(await names(world, owner, 'ACME'), [
    ...['Acme/Default Project', 'Acme/Über'],
    'zebra/acme shop',
  ]);
  t.deepEqual(await names(world, owner, 'über'), ['Acme/Über']);
  t.deepEqual(await names(world, owner, '.*'), []);
  t.deepEqual(await names(world, owner, '\0'), []);
});

test('a search ignores the case and normal form of text and name', async (t) => {
  const world = await testWorld(t);
  const owner = world.key();
  const { id } = await world.organization(owner, { name: 'Caf\u00e9' });
  const other = await world.organization(owner, { name: 'Other' });
  await world.addProject(id, 'One');
  await world.addProject(other.id, '\u0130stanbul');
  await world.addProject(other.id, 'Stra\u00dfe');
  const cases = [
    ['Cafe\u0301', ['Café/Default Project', 'Café/One']],
    ['istanbul', ['Other/İstanbul']],
    ['ISTANBUL', ['Other/İstanbul']],
    ['STRASSE', ['Other/Straße']],
    ['$where', []],
  ] as const;
  for (const [query, expected] of cases) t.deepEqual(await names(world, owner, query), expected);
});

test('a search omits projects that the key does not reach', async (t) => {
  const world = await testWorld(t);
  const owner = world.key();
  const { accountId } = owner.fact;
  const one = await world.organization(owner, { name: 'One' });
  const two = await world.organization(owner, { name: 'Two' });
  await world.addProject(one.id, 'Other');
  await world.addProject(two.id, 'Other');
  const byOrganization = world.key({ accountId, organizationIds: [one.id] });
  t.deepEqual(await names(world, byOrganization), ['One/Default Project', 'One/Other']);
  const byProject = world.key({ accountId, projectIds: [two.projectId] });
  t.deepEqual(await names(world, byProject), ['Two/Default Project']);
  const both = world.key({ accountId, organizationIds: [one.id], projectIds: [two.projectId] });
  t.deepEqual(await names(world, both, 'default'), ['One/Default Project', 'Two/Default Project']);
});

test('the pages of a search contain all results, for every page size', async (t) => {
  const world = await testWorld(t);
  const owner = world.key();
  for (const name of ['b', 'A', 'a']) {
    const { id } = await world.organization(owner, { name });
    for (const project of ['x', 'X', 'y'.repeat(200)]) await world.addProject(id, project);
  }
  const whole = (await search(world, owner)).results;
  t.is(whole.length, 12);
  for (const size of [1, 4, 5, 12]) {
    const paged = [];
    let pageToken = '';
    do {
      const page = await search(world, owner, '', size, pageToken);
      t.true(page.results.length <= size);
      paged.push(...page.results);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    t.deepEqual(paged, whole);
  }
});

/**
 * The world, whose large reads wait at a gate; the number of waiting reads, and a function to open
 * it.
 */
function gated(world: World) {
  const gate = Promise.withResolvers<void>();
  const waiting = { count: 0 };
  const inTurn = createReading('large_reads');
  const reading: World['reading'] = (call, read) =>
    inTurn(call, async () => {
      waiting.count++;
      await gate.promise;
      return await read();
    });
  return { world: { ...world, reading }, waiting, open: gate.resolve };
}

for (const [name, read] of [
  ['SearchProjects', (world: World, key: TestKey) => search(world, key)],
  [
    'PreviewMove',
    async (world: World, key: TestKey) => {
      const [from, to] = [await world.organization(key), await world.organization(key)];
      const ends = { projectId: from.projectId, destinationOrganizationId: to.id };
      const call = await world.call(key, { projectId: from.projectId });
      return await bind(previewMove, world)(
        { ...ends, sourceOrganizationId: '', projectIds: [] },
        call,
      );
    },
  ],
  [
    'ListMoveDestinations',
    async (world: World, key: TestKey) => {
      const { projectId } = await world.organization(key);
      const call = await world.call(key, { projectId });
      const page = { pageSize: 0, pageToken: '' };
      return await bind(listMoveDestinations, world)({ projectId, ...page }, call);
    },
  ],
] as const) {
  test(`${name} of one account leaves capacity of MongoDB to other accounts`, async (t) => {
    const { world, waiting, open } = gated(await testWorld(t));
    const [greedy, other] = [world.key(), world.key()];
    const calls = Array.from({ length: 10 }, () => read(world, greedy));
    const untilWaiting = (count: number) =>
      eventually(() => {
        if (waiting.count !== count) throw new Error(`${waiting.count} reads have begun`);
      });
    await untilWaiting(6);
    calls.push(read(world, other));
    await untilWaiting(7);
    open();
    t.is((await Promise.all(calls)).length, 11);
  });
}
