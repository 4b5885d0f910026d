import { evaluateAccess } from '@silo/access/evaluate-access.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { LiveKey } from '@silo/protos/gen/silo/token/internal/v1/directory_service.ts';
import test from 'ava';
import fc from 'fast-check';
import { accessChangeMessage } from '../messages.ts';
import { accessChanges, type Concerned, keyInMove, type Person } from '../rules/move-access.ts';

const { LEVEL_ADMIN, LEVEL_MEMBER, LEVEL_UNSPECIFIED } = Level;
const move = { sourceId: 'org_source', destinationId: 'org_there', projectIds: ['prj_1', 'prj_2'] };

const person = (accountId: string, sourceLevel: Level, destinationLevel: Level): Person => ({
  ...{ accountId, displayName: `Name of ${accountId}`, sourceLevel, destinationLevel },
});

const people = [
  person('acc_both', LEVEL_ADMIN, LEVEL_MEMBER),
  person('acc_source', LEVEL_ADMIN, LEVEL_UNSPECIFIED),
  person('acc_there', LEVEL_UNSPECIFIED, LEVEL_MEMBER),
];

function keyOf(accountId: string, values: Partial<LiveKey> = {}): LiveKey {
  const name = 'a key';
  const nothing = { scopes: ['*'], organizationIds: [], projectIds: [] };
  return { keyId: 'key_1', accountId, name, ...nothing, ...values };
}

const keysOf = ({ keys }: Concerned) => keys.map(({ projectIds }) => projectIds);

test('a member of only one organization loses or gains access, with its level there', (t) => {
  const { losing, gaining } = accessChanges(move, { people, keys: [] });
  t.deepEqual(losing.people, [people[1]]);
  t.deepEqual(gaining.people, [people[2]]);
});

type Row = {
  key: string;
  values?: Partial<LiveKey>;
  /** Lost and gained access, by owner. */
  source: [unknown, unknown];
  there: [unknown, unknown];
  both: [unknown, unknown];
};

const rows: Row[] = [
  {
    key: 'an unrestricted key',
    source: [['all'], []],
    there: [[], ['all']],
    both: [[], []],
  },
  {
    key: 'a key restricted to the source',
    values: { organizationIds: ['org_source'] },
    source: [['all'], []],
    there: [[], []],
    both: [['all'], []],
  },
  {
    key: 'a key restricted to the destination',
    values: { organizationIds: ['org_there'] },
    source: [[], []],
    there: [[], ['all']],
    both: [[], ['all']],
  },
  {
    key: 'a key restricted to both organizations',
    values: { organizationIds: ['org_there', 'org_source'] },
    source: [['all'], []],
    there: [[], ['all']],
    both: [[], []],
  },
  {
    key: 'a key restricted to one of the projects',
    values: { projectIds: ['prj_2'] },
    source: [[['prj_2']], []],
    there: [[], [['prj_2']]],
    both: [[], []],
  },
  {
    key: 'a key restricted to the source and to one of the projects',
    values: { organizationIds: ['org_source'], projectIds: ['prj_2'] },
    source: [['all'], []],
    there: [[], [['prj_2']]],
    both: [[['prj_1']], []],
  },
  {
    key: 'a key restricted to the destination and to one of the projects',
    values: { organizationIds: ['org_there'], projectIds: ['prj_1'] },
    source: [[['prj_1']], []],
    there: [[], ['all']],
    both: [[], [['prj_2']]],
  },
  {
    key: 'a key restricted to something else',
    values: { organizationIds: ['org_else'], projectIds: ['prj_else'] },
    source: [[], []],
    there: [[], []],
    both: [[], []],
  },
  {
    key: 'a key whose scopes concern no project',
    values: { scopes: ['billing:write', 'organization:read', 'key:write', 'account:read'] },
    source: [[], []],
    there: [[], []],
    both: [[], []],
  },
  {
    key: 'a key that only writes events',
    values: { scopes: ['event:write'] },
    source: [['all'], []],
    there: [[], ['all']],
    both: [[], []],
  },
];

for (const { key, values, ...expected } of rows) {
  test(`${key} loses and gains access by its owner and its restrictions`, (t) => {
    for (const owner of ['source', 'there', 'both'] as const) {
      const access = { people, keys: [keyOf(`acc_${owner}`, values)] };
      const { losing, gaining } = accessChanges(move, access);
      t.deepEqual([keysOf(losing), keysOf(gaining)], expected[owner], `its owner is in ${owner}`);
    }
  });
}

test('a move to the same organization changes no access', (t) => {
  const stays = { ...move, destinationId: 'org_source' };
  const inSource = [person('acc_1', LEVEL_ADMIN, LEVEL_ADMIN)];
  const keys = rows.map(({ values }) => keyOf('acc_1', values));
  const { losing, gaining } = accessChanges(stays, { people: inSource, keys });
  t.deepEqual([losing, gaining], Array(2).fill({ people: [], keys: [] }));
});

test('for keys of other accounts only owner and number are returned; lists have at most 1,000 entries, counts are complete', (t) => {
  const many = Array.from({ length: 1_200 }, (_, index) =>
    person(`acc_${String(index).padStart(4, '0')}`, LEVEL_MEMBER, LEVEL_UNSPECIFIED),
  );
  const [me] = many;
  const keys = many.flatMap(({ accountId }) => [
    keyOf(accountId, { keyId: `key_${accountId}_1`, name: 'secret name' }),
    keyOf(accountId, { keyId: `key_${accountId}_2`, name: 'secret name', projectIds: ['prj_1'] }),
  ]);
  const access = { people: many, keys };
  const { losing } = accessChanges(move, access);
  const reported = accessChangeMessage(losing, access, me?.accountId ?? '');
  t.is(reported.members.length, 1_000);
  t.is(reported.memberCount, 1_200);
  t.deepEqual(reported.members[0], {
    accountId: 'acc_0000',
    displayName: 'Name of acc_0000',
    level: LEVEL_MEMBER,
  });
  t.deepEqual(reported.ownKeys, [
    { keyId: 'key_acc_0000_1', name: 'secret name', projectIds: [] },
    { keyId: 'key_acc_0000_2', name: 'secret name', projectIds: ['prj_1'] },
  ]);
  t.is(reported.ownKeyCount, 2);
  t.is(reported.otherKeys.length, 1_000);
  t.deepEqual(reported.otherKeys[0], {
    accountId: 'acc_0001',
    displayName: 'Name of acc_0001',
    keyCount: 2,
  });
  t.deepEqual([reported.otherKeyCount, reported.otherOwnerCount], [2_398, 1_199]);
});

/** Whether the guard would let a key access a project that this organization owns. */
function mayAnything(key: LiveKey, projectId: string, organizationId: string, level: Level) {
  const fact = { ...key, expireTime: undefined, disabled: false };
  const state = ProjectState.PROJECT_STATE_ACTIVE;
  const project = { organizationId, state, capture: undefined, migratedTo: undefined };
  const target = { project, organization: { membersMayCreateProjects: true }, level };
  return ['project:read', 'event:write', 'event:read', 'token:read', 'activity:read'].some(
    (scope) =>
      evaluateAccess({ keyHash: new Uint8Array(32), scope, projectId }, fact, target, new Date())
        .allowed,
  );
}

test('a key loses and gains exactly the projects that the guard’s own rule determines', (t) => {
  const someOf = (...all: string[]) => fc.subarray(all);
  const keys = fc.record({
    scopes: someOf(
      '*',
      'project:read',
      'event:write',
      'activity:read',
      'billing:write',
      'key:read',
    ),
    organizationIds: someOf('org_source', 'org_there', 'org_else'),
    projectIds: someOf('prj_1', 'prj_2', 'prj_else'),
  });
  const level = fc.constantFrom(LEVEL_UNSPECIFIED, LEVEL_MEMBER, LEVEL_ADMIN);
  fc.assert(
    fc.property(keys, level, level, (values, sourceLevel, destinationLevel) => {
      const key = keyOf('acc_1', values);
      const owner = person('acc_1', sourceLevel, destinationLevel);
      const { losing, gaining } = accessChanges(move, { people: [owner], keys: [key] });
      const before = (id: string) => mayAnything(key, id, move.sourceId, sourceLevel);
      const after = (id: string) => mayAnything(key, id, move.destinationId, destinationLevel);
      const reported = ({ keys: [only] }: Concerned) =>
        only?.projectIds === 'all' ? move.projectIds : [...(only?.projectIds ?? [])];
      t.deepEqual(
        reported(losing),
        move.projectIds.filter((id) => before(id) && !after(id)),
      );
      t.deepEqual(
        reported(gaining),
        move.projectIds.filter((id) => after(id) && !before(id)),
      );
      const narrowed = keyInMove(move, key);
      const again = accessChanges(move, {
        people: [owner],
        keys: narrowed === undefined ? [] : [narrowed],
      });
      t.deepEqual(keysOf(again.losing), keysOf(losing));
      t.deepEqual(keysOf(again.gaining), keysOf(gaining));
    }),
    { numRuns: 2_000 },
  );
});

test('restrictions of a key that do not concern the move are dropped', (t) => {
  const many = (prefix: string) => Array.from({ length: 100 }, (_, index) => `${prefix}_${index}`);
  const key = keyOf('acc_1', {
    scopes: ['project:write', 'billing:read'],
    organizationIds: [...many('org'), 'org_source'],
    projectIds: [...many('prj'), 'prj_else'],
  });
  const kept = { organizationIds: ['org_source'], projectIds: ['prj_1', 'prj_2'] };
  t.deepEqual(keyInMove(move, key), keyOf('acc_1', { scopes: ['project:read'], ...kept }));
  t.is(keyInMove(move, keyOf('acc_1', { organizationIds: many('org') })), undefined);
  t.is(keyInMove(move, keyOf('acc_1', { scopes: ['billing:read'] })), undefined);
});
