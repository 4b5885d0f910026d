import { errors } from '@silo/errors/errors.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import test from 'ava';
import type { ConcernedKey, Person } from '../rules/move-access.ts';
import { type MoveOutcome, planChanges, planFingerprint } from '../rules/plan-fingerprint.ts';

const person = (accountId: string, displayName = 'Somebody'): Person => ({
  ...{ accountId, displayName },
  ...{ sourceLevel: Level.LEVEL_MEMBER, destinationLevel: Level.LEVEL_UNSPECIFIED },
});

function keyOf(keyId: string, projectIds: ConcernedKey['projectIds'] = 'all'): ConcernedKey {
  const nothing = { scopes: ['*'], organizationIds: [], projectIds: [] };
  return { key: { keyId, accountId: 'acc_1', name: 'a key', ...nothing }, projectIds };
}

const limit = (limit: number, count: number) =>
  errors.projectLimit({ organizationId: 'org_2', limit, count });
const state = ProjectState.PROJECT_STATE_DELETED;

const outcome: MoveOutcome = {
  sourceId: 'org_1',
  destinationId: 'org_2',
  projects: [{ _id: 'prj_1' }, { _id: 'prj_2', moveId: 'mov_1' }],
  refusals: [errors.lastProject(), limit(3, 3)],
  changes: {
    losing: { people: [person('acc_1'), person('acc_2')], keys: [keyOf('key_1'), keyOf('key_2')] },
    gaining: { people: [person('acc_3')], keys: [keyOf('key_3', ['prj_1', 'prj_2'])] },
  },
};
const { losing, gaining } = outcome.changes;
const withChanges = (changes: Partial<MoveOutcome['changes']>): MoveOutcome => ({
  ...outcome,
  changes: { ...outcome.changes, ...changes },
});

type Row = { what: string; now: MoveOutcome; changed: string[] };

const rows: Row[] = [
  {
    what: 'the projects in another order',
    now: { ...outcome, projects: outcome.projects.toReversed() },
    changed: [],
  },
  {
    what: 'other numbers of slots',
    now: { ...outcome, refusals: [errors.lastProject(), limit(6, 6)] },
    changed: [],
  },
  {
    what: 'another name and another level',
    now: withChanges({
      losing: {
        ...losing,
        people: [
          { ...person('acc_1', 'New'), sourceLevel: Level.LEVEL_OWNER },
          person('acc_2'),
        ].reverse(),
      },
    }),
    changed: [],
  },
  {
    what: 'another destination',
    now: { ...outcome, destinationId: 'org_3' },
    changed: ['move'],
  },
  {
    what: 'one project fewer',
    now: { ...outcome, projects: outcome.projects.slice(1) },
    changed: ['move'],
  },
  {
    what: 'a project that went away and came back',
    now: {
      ...outcome,
      projects: [{ _id: 'prj_1', moveId: 'mov_9' }, ...outcome.projects.slice(1)],
    },
    changed: ['move'],
  },
  {
    what: 'one refusal fewer',
    now: { ...outcome, refusals: [limit(3, 3)] },
    changed: ['refusals'],
  },
  {
    what: 'one more refusal',
    now: {
      ...outcome,
      refusals: [...outcome.refusals, errors.projectNotActive({ projectId: 'prj_1', state })],
    },
    changed: ['refusals'],
  },
  {
    what: 'one more member that loses access, and one fewer that gains it',
    now: withChanges({
      losing: { ...losing, people: [...losing.people, person('acc_4')] },
      gaining: { ...gaining, people: [] },
    }),
    changed: ['losing_members', 'gaining_members'],
  },
  {
    what: 'another key that loses access',
    now: withChanges({ losing: { ...losing, keys: [keyOf('key_1'), keyOf('key_9')] } }),
    changed: ['losing_keys'],
  },
  {
    what: 'a key that gains one project fewer',
    now: withChanges({ gaining: { ...gaining, keys: [keyOf('key_3', ['prj_1'])] } }),
    changed: ['gaining_keys'],
  },
  {
    what: 'a key that gains its projects in another order',
    now: withChanges({ gaining: { ...gaining, keys: [keyOf('key_3', ['prj_2', 'prj_1'])] } }),
    changed: [],
  },
];

for (const { what, now, changed } of rows) {
  test(`${what} changes ${changed.join(', ') || 'nothing'}`, (t) => {
    const changes = planChanges(planFingerprint(outcome), now);
    t.deepEqual(
      changes.map((each) => each.what),
      changed,
    );
    t.true(changes.every(({ description }) => description !== ''));
    t.is(planFingerprint(now) === planFingerprint(outcome), changed.length === 0);
  });
}

test('an invalid fingerprint counts as that of another plan', (t) => {
  for (const strange of [
    '0',
    '-----',
    planFingerprint(outcome).slice(0, -1),
    `${planFingerprint(outcome)}-0`,
  ]) {
    t.true(planChanges(strange, outcome).length > 0, strange);
  }
});

test('a fingerprint has the format that requests require', (t) => {
  t.regex(planFingerprint(outcome), /^[0-9a-f-]{1,128}$/);
});

test('lost and gained access have separate digests', (t) => {
  const exchanged = withChanges({ losing: gaining, gaining: losing });
  t.deepEqual(
    planChanges(planFingerprint(outcome), exchanged).map(({ what }) => what),
    ['losing_members', 'gaining_members', 'losing_keys', 'gaining_keys'],
  );
});
