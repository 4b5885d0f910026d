import { status } from '@grpc/grpc-js';
import { reasonName } from '@silo/errors/reason-name.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import test from 'ava';
import { refusalBy } from '../../../test/harness/refusals.ts';
import { requireNone, requireSameRegion, violatedMoveRules } from '../rules/move.ts';
import { moveBlockers } from '../rules/move-blockers.ts';
import type { SlotsDocument } from '../store/documents.ts';

const { PROJECT_STATE_ACTIVE, PROJECT_STATE_DELETED, PROJECT_STATE_MIGRATING } = ProjectState;

const us = 'org_us_01k00000000000000000000000';
const alsoUs = 'org_us_01k00000000000000000000001';
const eu = 'org_eu_01k00000000000000000000000';

function slotsOf(values: Partial<SlotsDocument> = {}): SlotsDocument {
  return { _id: alsoUs, limit: null, count: 1, closed: false, revision: 1, tries: {}, ...values };
}

const reason = (act: () => unknown) => reasonName(refusalBy(act).reason);
const reasons = (all: readonly SiloError[]) => all.map((each) => reasonName(each.reason));
const projectsIn = (...states: ProjectState[]) =>
  states.map((state, index) => ({ _id: `prj_${index}`, state }));

type Row = {
  title: string;
  states?: ProjectState[];
  sourceCount: number;
  destination?: Partial<SlotsDocument>;
  kept?: number;
  expected: string[];
};

const two = [PROJECT_STATE_ACTIVE, PROJECT_STATE_ACTIVE];
const rows: Row[] = [
  { title: 'a move that breaks no rule', sourceCount: 2, expected: [] },
  { title: 'a move of the last project', sourceCount: 1, expected: ['LAST_PROJECT'] },
  { title: 'an undo that takes the last project', sourceCount: 1, kept: 0, expected: [] },
  {
    title: 'a move of the last project to its own organization',
    sourceCount: 1,
    destination: { _id: us, limit: 1 },
    expected: ['ALREADY_THERE'],
  },
  {
    title: 'a move to a full organization',
    sourceCount: 2,
    destination: { limit: 1, count: 1 },
    expected: ['PROJECT_LIMIT'],
  },
  {
    title: 'an undo to a full organization',
    sourceCount: 1,
    kept: 0,
    destination: { limit: 1, count: 1 },
    expected: ['PROJECT_LIMIT'],
  },
  {
    title: 'a move into the last free slot',
    sourceCount: 2,
    destination: { limit: 2, count: 1 },
    expected: [],
  },
  {
    title: 'a move of a migrating last project to a full organization',
    states: [PROJECT_STATE_MIGRATING],
    sourceCount: 1,
    destination: { limit: 1, count: 1 },
    expected: ['LAST_PROJECT', 'PROJECT_LIMIT', 'PROJECT_NOT_ACTIVE'],
  },
  {
    title: 'a move of a deleted project, which holds no slot',
    states: [PROJECT_STATE_DELETED],
    sourceCount: 1,
    destination: { limit: 1, count: 1 },
    expected: ['PROJECT_NOT_ACTIVE'],
  },
  {
    title: 'a batch that leaves one project and takes the last slots',
    states: two,
    sourceCount: 3,
    destination: { limit: 3, count: 1 },
    expected: [],
  },
  {
    title: 'a batch whose projects could move alone, but not together',
    states: two,
    sourceCount: 2,
    destination: { limit: 2, count: 1 },
    expected: ['LAST_PROJECT', 'PROJECT_LIMIT'],
  },
  {
    title: 'a batch with a deleted project, which needs no slot, and a migrating one',
    states: [PROJECT_STATE_ACTIVE, PROJECT_STATE_DELETED, PROJECT_STATE_MIGRATING],
    sourceCount: 3,
    destination: { limit: 3, count: 1 },
    expected: ['PROJECT_NOT_ACTIVE', 'PROJECT_NOT_ACTIVE'],
  },
  {
    title: 'a batch to its own organization',
    states: two,
    sourceCount: 2,
    destination: { _id: us, count: 2, limit: 2 },
    expected: ['ALREADY_THERE'],
  },
];

for (const { title, states = [PROJECT_STATE_ACTIVE], sourceCount, kept = 1, ...row } of rows) {
  test(`${title} violates ${row.expected.join(', ') || 'nothing'}`, (t) => {
    const violated = violatedMoveRules({
      projects: projectsIn(...states),
      source: { _id: us, count: sourceCount },
      destination: slotsOf(row.destination),
      kept,
    });
    t.deepEqual(reasons(violated), row.expected);
  });
}

test('a refused move has the first reason, all violations, and the quota', (t) => {
  const violated = violatedMoveRules({
    projects: projectsIn(PROJECT_STATE_ACTIVE),
    source: { _id: us, count: 1 },
    destination: slotsOf({ limit: 3, count: 3 }),
    kept: 1,
  });
  const error = refusalBy(() => requireNone(violated));
  t.is(error.code, status.FAILED_PRECONDITION);
  t.is(reasonName(error.reason), 'LAST_PROJECT');
  t.deepEqual(
    error.details.preconditionFailure?.map(({ type }) => type),
    ['LAST_PROJECT', 'PROJECT_LIMIT'],
  );
  t.is(error.details.quotaFailure?.[0]?.subject, alsoUs);
});

test('each project that is not active is listed by its id', (t) => {
  const violated = violatedMoveRules({
    projects: projectsIn(PROJECT_STATE_DELETED, PROJECT_STATE_ACTIVE, PROJECT_STATE_MIGRATING),
    source: { _id: us, count: 9 },
    destination: slotsOf(),
    kept: 1,
  });
  const { details } = refusalBy(() => requireNone(violated));
  t.deepEqual(
    details.preconditionFailure?.map(({ type, subject }) => [type, subject]),
    [
      ['PROJECT_NOT_ACTIVE', 'prj_0'],
      ['PROJECT_NOT_ACTIVE', 'prj_2'],
    ],
  );
});

test('the region is determined by the id; an organization with an invalid id does not exist', (t) => {
  t.notThrows(() => requireSameRegion(us, alsoUs));
  t.is(
    reason(() => requireSameRegion(us, eu)),
    'CROSS_REGION',
  );
  t.is(refusalBy(() => requireSameRegion(us, eu)).metadata.region, 'eu');
  const noId = 'org_us_uuuuuuuuuuuuuuuuuuuuuuuuuu';
  t.is(
    reason(() => requireSameRegion(us, noId)),
    'ORGANIZATION_NOT_FOUND',
  );
});

test('all blockers of a move are returned, permissions first', (t) => {
  const facts = {
    projects: projectsIn(PROJECT_STATE_ACTIVE),
    source: { _id: us, count: 1 },
    destinationId: alsoUs,
    caller: { level: Level.LEVEL_MEMBER, fact: { membersMayCreateProjects: false } },
  };
  const full = slotsOf({ limit: 1 });
  t.deepEqual(reasons(moveBlockers({ ...facts, destination: full })), [
    'ADMIN_REQUIRED',
    'LAST_PROJECT',
    'PROJECT_LIMIT',
  ]);
  t.deepEqual(reasons(moveBlockers({ ...facts, destination: undefined })), [
    'ADMIN_REQUIRED',
    'NOT_READY',
  ]);
});
