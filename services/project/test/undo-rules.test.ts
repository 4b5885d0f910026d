import { reasonName } from '@silo/errors/reason-name.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { KeyFact } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import test from 'ava';
import { requireMayFinalize, requireMayUndo, undoBlockers, undoMs } from '../rules/undo-move.ts';
import type { MoveDocument } from '../store/documents.ts';

const { LEVEL_ADMIN, LEVEL_MEMBER, LEVEL_OWNER } = Level;
const moveTime = new Date('2026-01-01T00:00:00Z');
const expireTime = new Date(moveTime.getTime() + undoMs);
const [before, after] = [new Date(expireTime.getTime() - 1), expireTime];

function moveOf(values: Partial<MoveDocument> = {}): MoveDocument {
  return {
    _id: 'mov_1',
    projectIds: ['prj_1', 'prj_2'],
    sourceOrganizationId: 'org_source',
    destinationOrganizationId: 'org_destination',
    organizationIds: ['org_source', 'org_destination'],
    actorAccountId: 'acc_maker',
    moveTime,
    undoExpireTime: expireTime,
    revision: 1,
    ...values,
  };
}

const there = [
  { _id: 'prj_1', moveId: 'mov_1' },
  { _id: 'prj_2', moveId: 'mov_1' },
];

type Row = {
  title: string;
  move?: Partial<MoveDocument>;
  projects?: { _id: string; moveId?: string }[];
  now?: Date;
  expected: string[];
};

const rows: Row[] = [
  { title: 'a move of the last 7 days', expected: [] },
  { title: 'a move of 7 days ago', now: after, expected: ['UNDO_EXPIRED'] },
  { title: 'an undo', move: { undoOf: 'mov_0' }, now: after, expected: ['MOVE_IS_UNDO'] },
  {
    title: 'an undone move, whose projects have moved since',
    move: { undoneBy: 'mov_2' },
    projects: [{ _id: 'prj_1', moveId: 'mov_2' }],
    expected: ['MOVE_UNDONE'],
  },
  {
    title: 'a finalized move',
    move: { finalizeTime: moveTime, finalizerAccountId: 'acc_1' },
    expected: ['MOVE_FINALIZED'],
  },
  {
    title: 'a move with a project that was moved again',
    projects: [...there.slice(1), { _id: 'prj_1', moveId: 'mov_2' }],
    expected: ['MOVE_SUPERSEDED'],
  },
  {
    title: 'a move with a missing project',
    projects: there.slice(1),
    expected: ['PROJECT_GONE'],
  },
  {
    title: 'an expired move with a missing project and one that was moved again',
    projects: [{ _id: 'prj_2', moveId: 'mov_2' }],
    now: after,
    expected: ['UNDO_EXPIRED', 'MOVE_SUPERSEDED', 'PROJECT_GONE'],
  },
];

for (const { title, move, projects = there, now = before, expected } of rows) {
  test(`undoing ${title} violates ${expected.join(', ') || 'nothing'}`, (t) => {
    const blockers = undoBlockers(moveOf(move), projects, now);
    t.deepEqual(
      blockers.map(({ reason }) => reasonName(reason)),
      expected,
    );
  });
}

const free = { membersMayCreateProjects: true };
const locked = { membersMayCreateProjects: false };

function keyOf(accountId: string, values: Partial<KeyFact> = {}): KeyFact {
  return {
    keyId: 'key_1',
    accountId,
    scopes: ['*'],
    organizationIds: [],
    projectIds: [],
    expireTime: undefined,
    disabled: false,
    ...values,
  };
}

/** The result of a rule: the reason with its details, or `allowed`. */
function outcomeOf(act: () => unknown): string {
  try {
    act();
    return 'allowed';
  } catch (error) {
    if (!(error instanceof SiloError)) throw error;
    const { reason, details } = error;
    return [reasonName(reason), details.resourceInfo?.resourceName ?? []].flat().join(' ');
  }
}

const sourceHidden = 'ORGANIZATION_NOT_FOUND org_source';
const destinationHidden = 'ORGANIZATION_NOT_FOUND org_destination';

type Side = { level: Level; fact: typeof free } | undefined;
type Person = {
  actor: string;
  accountId?: string;
  source: Side;
  destination: Side;
  key?: Partial<KeyFact>;
  undo: string;
  finalize: string;
};

const at = (level: Level, fact = free): Side => ({ level, fact });
const people: Person[] = [
  {
    actor: 'the maker, ADMIN of the source and MEMBER of the destination',
    accountId: 'acc_maker',
    source: at(LEVEL_ADMIN, locked),
    destination: at(LEVEL_MEMBER),
    undo: 'allowed',
    finalize: 'ADMIN_REQUIRED',
  },
  {
    actor: 'the maker, no ADMIN of either any more',
    accountId: 'acc_maker',
    source: at(LEVEL_MEMBER),
    destination: at(LEVEL_MEMBER),
    undo: 'ADMIN_REQUIRED',
    finalize: 'ADMIN_REQUIRED',
  },
  {
    actor: 'the maker, ADMIN of the destination only',
    accountId: 'acc_maker',
    source: at(LEVEL_MEMBER),
    destination: at(LEVEL_ADMIN),
    undo: 'allowed',
    finalize: 'allowed',
  },
  {
    actor: 'the maker, a former member of the destination',
    accountId: 'acc_maker',
    source: at(LEVEL_OWNER),
    destination: undefined,
    undo: destinationHidden,
    finalize: destinationHidden,
  },
  {
    actor: 'the maker, a former member of the source',
    accountId: 'acc_maker',
    source: undefined,
    destination: at(LEVEL_MEMBER),
    undo: sourceHidden,
    finalize: 'ADMIN_REQUIRED',
  },
  {
    actor: 'another ADMIN of the source',
    source: at(LEVEL_ADMIN),
    destination: at(LEVEL_MEMBER),
    undo: 'ADMIN_REQUIRED',
    finalize: 'ADMIN_REQUIRED',
  },
  {
    actor: 'an ADMIN of the destination and MEMBER of the source',
    source: at(LEVEL_MEMBER),
    destination: at(LEVEL_ADMIN),
    undo: 'allowed',
    finalize: 'allowed',
  },
  {
    actor: 'an ADMIN of the destination and MEMBER of a source where members may not create',
    source: at(LEVEL_MEMBER, locked),
    destination: at(LEVEL_ADMIN),
    undo: 'ADMIN_REQUIRED',
    finalize: 'allowed',
  },
  {
    actor: 'an OWNER of the destination alone',
    source: undefined,
    destination: at(LEVEL_OWNER),
    undo: sourceHidden,
    finalize: 'allowed',
  },
  {
    actor: 'an ADMIN of both, by a key that reaches only the source',
    source: at(LEVEL_ADMIN),
    destination: at(LEVEL_ADMIN),
    key: { organizationIds: ['org_source'] },
    undo: destinationHidden,
    finalize: destinationHidden,
  },
  {
    actor: 'an ADMIN of both, by a key that reaches only the destination',
    source: at(LEVEL_ADMIN),
    destination: at(LEVEL_ADMIN),
    key: { organizationIds: ['org_destination'] },
    undo: sourceHidden,
    finalize: 'allowed',
  },
  {
    actor: 'an ADMIN of both, by a key that reaches the source and one of the projects',
    source: at(LEVEL_ADMIN),
    destination: at(LEVEL_ADMIN),
    key: { organizationIds: ['org_source'], projectIds: ['prj_1'] },
    undo: destinationHidden,
    finalize: destinationHidden,
  },
  {
    actor: 'an ADMIN of both, by a key that reaches the source and each project',
    source: at(LEVEL_ADMIN),
    destination: at(LEVEL_ADMIN),
    key: { organizationIds: ['org_source'], projectIds: ['prj_2', 'prj_1'] },
    undo: destinationHidden,
    finalize: destinationHidden,
  },
  {
    actor: 'an ADMIN of both, by a key that reaches both organizations',
    source: at(LEVEL_ADMIN),
    destination: at(LEVEL_ADMIN),
    key: { organizationIds: ['org_source', 'org_destination'] },
    undo: 'allowed',
    finalize: 'allowed',
  },
];

for (const { actor, accountId = 'acc_other', source, destination, key, undo, finalize } of people) {
  test(`${actor}: undo ${undo}, finalize ${finalize}`, (t) => {
    const caller = keyOf(accountId, key);
    const sides = { source, destination };
    t.is(
      outcomeOf(() => requireMayUndo(moveOf(), caller, sides)),
      undo,
    );
    t.is(
      outcomeOf(() => requireMayFinalize(moveOf(), caller, sides)),
      finalize,
    );
  });
}
