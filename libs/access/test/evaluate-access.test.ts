import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { KeyFact } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import test from 'ava';
import type { Question } from '../access.ts';
import { evaluateAccess, type TargetFacts } from '../evaluate-access.ts';
import { holdsScope } from '../scopes.ts';

const now = new Date('2026-01-01T00:00:00Z');
const keyHash = new Uint8Array(32);
const home = 'org_us_home';
const project = {
  organizationId: home,
  state: ProjectState.PROJECT_STATE_ACTIVE,
  capture: undefined,
  migratedTo: undefined,
};
const held = { ...project, state: ProjectState.PROJECT_STATE_MIGRATING };
const migrated = {
  ...project,
  state: ProjectState.PROJECT_STATE_MIGRATED,
  migratedTo: { region: 'eu', organizationId: 'org_eu_new' },
};
const open = { membersMayCreateProjects: true };

const key: KeyFact = {
  keyId: 'key_1',
  accountId: 'acc_1',
  scopes: ['project:write'],
  organizationIds: [],
  projectIds: [],
  expireTime: undefined,
  disabled: false,
};

const check: Question = {
  keyHash,
  scope: 'project:read',
  projectId: 'prj_1',
  level: Level.LEVEL_ADMIN,
};
const facts: TargetFacts = { project, organization: open, level: Level.LEVEL_ADMIN };

type Row = {
  rule: string;
  question?: Partial<Question>;
  key?: Partial<KeyFact> | 'none';
  facts?: TargetFacts;
  refused?: ErrorReason;
};

const reach = { organizationIds: [], projectIds: [] };

const inOrganization = { projectId: undefined, organizationId: home };

const rows: Row[] = [
  { rule: 'an admin with a live key and the scope is allowed on a project' },
  { rule: 'an admin is allowed on an organization', question: inOrganization },
  {
    rule: 'a question without a target requires only key and scope',
    question: { projectId: undefined },
    facts: {},
  },
  {
    rule: 'an unknown key is refused',
    key: 'none',
    refused: ErrorReason.ERROR_REASON_TOKEN_INVALID,
  },
  {
    rule: 'a disabled key is refused like an unknown one',
    key: { disabled: true },
    refused: ErrorReason.ERROR_REASON_TOKEN_INVALID,
  },
  {
    rule: 'a key is refused from the moment at which it expires',
    key: { expireTime: now },
    refused: ErrorReason.ERROR_REASON_TOKEN_INVALID,
  },
  {
    rule: 'a key works until the moment at which it expires',
    key: { expireTime: new Date(now.getTime() + 1) },
  },
  {
    rule: 'reading does not include writing',
    question: { scope: 'project:write' },
    key: { scopes: ['project:read'] },
    refused: ErrorReason.ERROR_REASON_SCOPE_REQUIRED,
  },
  {
    rule: 'a missing scope is reported before the target is checked',
    question: { scope: 'token:read' },
    facts: {},
    refused: ErrorReason.ERROR_REASON_SCOPE_REQUIRED,
  },
  {
    rule: 'a restricted key may not change the account',
    question: { projectId: undefined, unrestricted: true },
    key: { projectIds: ['prj_1'] },
    refused: ErrorReason.ERROR_REASON_KEY_RESTRICTED,
  },
  {
    rule: 'a project that does not exist is hidden',
    facts: {},
    refused: ErrorReason.ERROR_REASON_PROJECT_NOT_FOUND,
  },
  {
    rule: 'a deleted project is hidden',
    facts: { ...facts, project: { ...project, state: ProjectState.PROJECT_STATE_DELETED } },
    refused: ErrorReason.ERROR_REASON_PROJECT_NOT_FOUND,
  },
  {
    rule: 'a project that is cut over to another region is not ready, for members',
    facts: { ...facts, project: held },
    refused: ErrorReason.ERROR_REASON_NOT_READY,
  },
  {
    rule: 'a project in another region is reported with its place to members of its former organization at any level',
    facts: { ...facts, project: migrated, level: Level.LEVEL_MEMBER },
    refused: ErrorReason.ERROR_REASON_CROSS_REGION,
  },
  {
    rule: 'a project that is cut over is hidden from others',
    facts: { project: held, organization: open },
    refused: ErrorReason.ERROR_REASON_PROJECT_NOT_FOUND,
  },
  {
    rule: 'a project in another region is hidden from others',
    facts: { project: migrated, organization: open },
    refused: ErrorReason.ERROR_REASON_PROJECT_NOT_FOUND,
  },
  {
    rule: 'a key restricted to another project does not find where a project went',
    key: { projectIds: ['prj_2'] },
    facts: { ...facts, project: migrated },
    refused: ErrorReason.ERROR_REASON_PROJECT_NOT_FOUND,
  },
  {
    rule: 'a project in another region is evaluated by its former owner if gone targets are allowed',
    question: { evenGone: true },
    facts: { ...facts, project: migrated },
  },
  {
    rule: 'a project is hidden from a caller who is not a member of its organization',
    facts: { ...facts, level: Level.LEVEL_UNSPECIFIED },
    refused: ErrorReason.ERROR_REASON_PROJECT_NOT_FOUND,
  },
  {
    rule: 'a project of a deleted organization is hidden',
    facts: { ...facts, organization: undefined },
    refused: ErrorReason.ERROR_REASON_PROJECT_NOT_FOUND,
  },
  {
    rule: 'a key restricted to another project does not reach this one',
    key: { projectIds: ['prj_2'] },
    refused: ErrorReason.ERROR_REASON_PROJECT_NOT_FOUND,
  },
  {
    rule: 'a key restricted to another organization does not reach this project',
    key: { organizationIds: ['org_us_other'] },
    refused: ErrorReason.ERROR_REASON_PROJECT_NOT_FOUND,
  },
  { rule: 'a key restricted to the project reaches it', key: { projectIds: ['prj_1'] } },
  { rule: 'a key restricted to the owner reaches the project', key: { organizationIds: [home] } },
  {
    rule: 'a key restricted to a project does not reach its organization',
    question: inOrganization,
    key: { projectIds: ['prj_1'] },
    refused: ErrorReason.ERROR_REASON_ORGANIZATION_NOT_FOUND,
  },
  {
    rule: 'a foreign organization is hidden',
    question: inOrganization,
    facts: { organization: open, level: undefined },
    refused: ErrorReason.ERROR_REASON_ORGANIZATION_NOT_FOUND,
  },
  {
    rule: 'a level that only a newer release knows grants nothing on a project',
    facts: { ...facts, level: 7 as Level },
    refused: ErrorReason.ERROR_REASON_PROJECT_NOT_FOUND,
  },
  {
    rule: 'a level that only a newer release knows grants nothing in an organization',
    question: { ...inOrganization, level: Level.LEVEL_MEMBER },
    facts: { ...facts, level: 7 as Level },
    refused: ErrorReason.ERROR_REASON_ORGANIZATION_NOT_FOUND,
  },
  {
    rule: 'no account holds a required level that only a newer release knows',
    question: { level: 7 as Level },
    facts: { ...facts, level: Level.LEVEL_OWNER },
    refused: ErrorReason.ERROR_REASON_ADMIN_REQUIRED,
  },
  {
    rule: 'a project in a state that only a newer release knows is not usable',
    facts: { ...facts, project: { ...project, state: 7 as ProjectState } },
    refused: ErrorReason.ERROR_REASON_PROJECT_NOT_FOUND,
  },
  {
    rule: 'a member gets ADMIN_REQUIRED if its level is too low',
    facts: { ...facts, level: Level.LEVEL_MEMBER },
    refused: ErrorReason.ERROR_REASON_ADMIN_REQUIRED,
  },
  {
    rule: 'an admin gets ADMIN_REQUIRED if an owner is required',
    question: { ...inOrganization, level: Level.LEVEL_OWNER },
    refused: ErrorReason.ERROR_REASON_ADMIN_REQUIRED,
  },
  {
    rule: 'an owner may do what an admin may',
    facts: { ...facts, level: Level.LEVEL_OWNER },
  },
  {
    rule: 'membership is the least level if none is requested',
    question: { level: undefined },
    facts: { ...facts, level: Level.LEVEL_MEMBER },
  },
  {
    rule: 'a deleted project is evaluated by its last owner if gone targets are allowed',
    question: { evenGone: true },
    facts: { ...facts, project: { ...project, state: ProjectState.PROJECT_STATE_DELETED } },
  },
  {
    rule: 'a deleted project is hidden from non-members of its last owner',
    question: { evenGone: true },
    facts: {
      project: { ...project, state: ProjectState.PROJECT_STATE_DELETED },
      organization: open,
    },
    refused: ErrorReason.ERROR_REASON_PROJECT_NOT_FOUND,
  },
  {
    rule: 'a project that does not exist is allowed if gone targets are allowed',
    question: { evenGone: true },
    facts: {},
  },
  {
    rule: 'a project that does not exist is hidden from a key that is restricted to another',
    question: { evenGone: true },
    key: { projectIds: ['prj_2'] },
    facts: {},
    refused: ErrorReason.ERROR_REASON_PROJECT_NOT_FOUND,
  },
  {
    rule: 'a deleted organization is allowed if gone targets are allowed',
    question: { ...inOrganization, evenGone: true },
    facts: {},
  },
  {
    rule: 'a deleted organization is hidden from a key that is restricted to another',
    question: { ...inOrganization, evenGone: true },
    key: { organizationIds: ['org_us_other'] },
    facts: {},
    refused: ErrorReason.ERROR_REASON_ORGANIZATION_NOT_FOUND,
  },
  {
    rule: 'an existing organization is evaluated like every other',
    question: { ...inOrganization, evenGone: true },
    facts: { organization: open },
    refused: ErrorReason.ERROR_REASON_ORGANIZATION_NOT_FOUND,
  },
  {
    rule: 'a hidden target is reported as the target that the caller named',
    question: {
      ...inOrganization,
      hiddenAs: { reason: ErrorReason.ERROR_REASON_MOVE_NOT_FOUND, detail: 'mov_1' },
    },
    facts: {},
    refused: ErrorReason.ERROR_REASON_MOVE_NOT_FOUND,
  },
  {
    rule: 'a restricted key can see no other key',
    question: { projectId: undefined, keyId: 'key_other' },
    key: { projectIds: ['prj_1'] },
    refused: ErrorReason.ERROR_REASON_KEY_NOT_FOUND,
  },
  {
    rule: 'access that must be within the key’s may not exceed it',
    question: { projectId: undefined, within: { ...reach, scopes: ['*'] } },
    key: { scopes: ['project:read'] },
    refused: ErrorReason.ERROR_REASON_KEY_EXCEEDS_CALLER,
  },
  {
    rule: 'access within the key’s is allowed',
    question: { projectId: undefined, within: { ...reach, scopes: ['project:read'] } },
  },
];

for (const row of rows) {
  test(row.rule, (t) => {
    const fact = row.key === 'none' ? undefined : { ...key, ...row.key };
    const answer = evaluateAccess({ ...check, ...row.question }, fact, row.facts ?? facts, now);
    t.is(answer.allowed ? undefined : answer.refusal.reason, row.refused);
  });
}

test('the refusal for a migrated project has its region and its organization there', (t) => {
  const answer = evaluateAccess(check, key, { ...facts, project: migrated }, now);
  const { reason, ...where } = answer.allowed ? {} : answer.refusal;
  t.deepEqual(where, { detail: 'eu', organizationId: 'org_eu_new' });
});

test('a denial has the key only if the key itself is valid', (t) => {
  const lacking = evaluateAccess({ ...check, scope: 'token:read' }, key, {}, now);
  const disabled = evaluateAccess(check, { ...key, disabled: true }, facts, now);
  t.is(lacking.allowed ? 'allowed' : lacking.key, key);
  t.is(disabled.allowed ? 'allowed' : disabled.key, undefined);
});

test('a scope is granted by itself, by its area’s write, or by *', (t) => {
  t.true(holdsScope(['project:read'], 'project:read'));
  t.true(holdsScope(['project:write'], 'project:read'));
  t.true(holdsScope(['*'], 'billing:write'));
  t.false(holdsScope(['project:read'], 'project:write'));
  t.false(holdsScope(['project:write'], 'token:read'));
  t.false(holdsScope([], 'project:read'));
});
