import * as events from '@silo/protos/gen/silo/events/v1/events.ts';
import { ListActivityResponse } from '@silo/protos/gen/silo/org/v1/activity_service.ts';
import { loadImage } from '@silo/protos/image.ts';
import test from 'ava';
import { activityMessage } from '../messages.ts';
import { converters, entryOf } from '../rules/activity-entry.ts';

const org = 'org_us_01aaaaaaaaaaaaaaaaaaaaaaaa';
const other = 'org_us_01bbbbbbbbbbbbbbbbbbbbbbbb';
const prj = 'prj_01cccccccccccccccccccccccc';
const acc = 'acc_01dddddddddddddddddddddddd';
const inv = 'inv_01eeeeeeeeeeeeeeeeeeeeeeee';
const mov = 'mov_01ffffffffffffffffffffffff';
const time = new Date('2026-01-02T03:04:05.678Z');
const by = { revision: 3, actor: acc, time: time.toISOString() };
const change = { field: 'name', from: 'a', to: 'b' };

type Row = {
  message: string;
  type: string;
  body: Record<string, unknown>;
  /** Undefined: nobody sees it. */
  entry: Record<string, unknown> | undefined;
};

const rows: Row[] = [
  {
    message: 'AccountCreated',
    type: 'org.account_created',
    body: { accountId: acc, organizationId: org },
    entry: { organizationIds: [org], subjectId: acc },
  },
  {
    message: 'AccountUpdated',
    type: 'org.account_updated',
    body: { accountId: acc, changes: [change] },
    entry: undefined,
  },
  {
    message: 'OrganizationCreated',
    type: 'org.organization_created',
    body: { organizationId: org, name: 'Acme', ownerAccountId: acc },
    entry: {
      organizationIds: [org],
      subjectId: org,
      changes: [{ field: 'name', from: '', to: 'Acme' }],
    },
  },
  {
    message: 'OrganizationUpdated',
    type: 'org.organization_updated',
    body: { organizationId: org, changes: [change], membersMayCreateProjects: true },
    entry: { organizationIds: [org], subjectId: org, changes: [change] },
  },
  {
    message: 'OrganizationDeleted',
    type: 'org.organization_deleted',
    body: { organizationId: org, name: 'Acme' },
    entry: {
      organizationIds: [org],
      subjectId: org,
      changes: [{ field: 'name', from: 'Acme', to: '' }],
    },
  },
  {
    message: 'MemberAdded',
    type: 'org.member_added',
    body: { organizationId: org, accountId: acc, level: 'LEVEL_MEMBER' },
    entry: {
      organizationIds: [org],
      subjectId: acc,
      changes: [{ field: 'level', from: '', to: 'LEVEL_MEMBER' }],
    },
  },
  {
    message: 'MemberUpdated',
    type: 'org.member_updated',
    body: {
      organizationId: org,
      accountId: acc,
      oldLevel: 'LEVEL_MEMBER',
      level: 'LEVEL_ADMIN',
    },
    entry: {
      organizationIds: [org],
      subjectId: acc,
      changes: [{ field: 'level', from: 'LEVEL_MEMBER', to: 'LEVEL_ADMIN' }],
    },
  },
  {
    message: 'MemberRemoved',
    type: 'org.member_removed',
    body: { organizationId: org, accountId: acc, oldLevel: 'LEVEL_OWNER', left: true },
    entry: {
      organizationIds: [org],
      subjectId: acc,
      changes: [{ field: 'level', from: 'LEVEL_OWNER', to: '' }],
    },
  },
  {
    message: 'InviteCreated',
    type: 'org.invite_created',
    body: { organizationId: org, inviteId: inv, level: 'LEVEL_ADMIN', expireTime: by.time },
    entry: {
      organizationIds: [org],
      subjectId: inv,
      changes: [{ field: 'level', from: '', to: 'LEVEL_ADMIN' }],
    },
  },
  {
    message: 'InviteDeleted',
    type: 'org.invite_deleted',
    body: { organizationId: org, inviteId: inv },
    entry: { organizationIds: [org], subjectId: inv },
  },
  {
    message: 'InviteAccepted',
    type: 'org.invite_accepted',
    body: { organizationId: org, inviteId: inv, accountId: acc },
    entry: {
      organizationIds: [org],
      subjectId: inv,
      changes: [{ field: 'account_id', from: '', to: acc }],
    },
  },
  {
    message: 'ProjectCreated',
    type: 'project.created',
    body: { projectId: prj, organizationId: org, name: 'Staging' },
    entry: {
      organizationIds: [org],
      projectId: prj,
      changes: [{ field: 'name', from: '', to: 'Staging' }],
    },
  },
  {
    message: 'ProjectUpdated',
    type: 'project.updated',
    body: { projectId: prj, organizationId: org, changes: [change] },
    entry: { organizationIds: [org], projectId: prj, changes: [change] },
  },
  {
    message: 'ProjectMoved',
    type: 'project.moved',
    body: {
      projectId: prj,
      oldOrganizationId: org,
      newOrganizationId: other,
      moveId: mov,
      name: 'x',
    },
    entry: {
      organizationIds: [org, other],
      projectId: prj,
      moveId: mov,
      changes: [{ field: 'organization_id', from: org, to: other }],
    },
  },
  {
    message: 'ProjectMoved',
    type: 'project.moved',
    body: {
      projectId: prj,
      oldOrganizationId: other,
      newOrganizationId: org,
      moveId: 'mov_back',
      name: 'x',
      undoOf: mov,
      projectCount: 1,
    },
    entry: {
      organizationIds: [other, org],
      projectId: prj,
      moveId: 'mov_back',
      undoOf: mov,
      changes: [{ field: 'organization_id', from: other, to: org }],
    },
  },
  {
    message: 'MoveFinalized',
    type: 'project.move_finalized',
    body: { moveId: mov, oldOrganizationId: org, newOrganizationId: other, projectIds: [prj] },
    entry: { organizationIds: [org, other], projectId: prj, subjectId: mov, moveId: mov },
  },
  {
    message: 'MoveFinalized',
    type: 'project.move_finalized',
    body: {
      moveId: mov,
      oldOrganizationId: org,
      newOrganizationId: other,
      projectIds: [prj, 'prj_2'],
    },
    entry: { organizationIds: [org, other], subjectId: mov, moveId: mov },
  },
  {
    message: 'ProjectUndeleted',
    type: 'project.undeleted',
    body: { projectId: prj, organizationId: org, name: 'Staging' },
    entry: {
      organizationIds: [org],
      projectId: prj,
      changes: [{ field: 'name', from: '', to: 'Staging' }],
    },
  },
  {
    message: 'ProjectDeleted',
    type: 'project.deleted',
    body: { projectId: prj, organizationId: org, name: 'Staging', purgeTime: by.time },
    entry: {
      organizationIds: [org],
      projectId: prj,
      changes: [{ field: 'name', from: 'Staging', to: '' }],
    },
  },
  {
    message: 'SlotsChanged',
    type: 'project.slots_changed',
    body: { organizationId: org, oldLimit: 1, limit: 6, count: 1 },
    entry: {
      organizationIds: [org],
      subjectId: org,
      changes: [{ field: 'limit', from: '1', to: '6' }],
    },
  },
  {
    message: 'SlotsChanged',
    type: 'project.slots_changed',
    body: { organizationId: org, oldLimit: 6, count: 0, closed: true },
    entry: {
      organizationIds: [org],
      subjectId: org,
      changes: [
        { field: 'limit', from: '6', to: '' },
        { field: 'closed', from: '', to: 'true' },
      ],
    },
  },
  {
    message: 'TokenCreated',
    type: 'token.created',
    body: { projectId: prj, fingerprint: '0123456789ab' },
    entry: undefined,
  },
  {
    message: 'TokenRevoked',
    type: 'token.revoked',
    body: {
      projectId: prj,
      organizationId: org,
      fingerprint: '0123456789ab',
      newFingerprint: 'ba9876543210',
    },
    entry: {
      organizationIds: [org],
      projectId: prj,
      changes: [{ field: 'fingerprint', from: '0123456789ab', to: 'ba9876543210' }],
    },
  },
  {
    message: 'TokenRevoked',
    type: 'token.revoked',
    body: { projectId: prj, fingerprint: '0123456789ab' },
    entry: undefined,
  },
  {
    message: 'ApiKeyCreated',
    type: 'token.key_created',
    body: { keyId: 'key_1', accountId: acc, name: 'ci' },
    entry: undefined,
  },
  {
    message: 'ApiKeyUpdated',
    type: 'token.key_updated',
    body: { keyId: 'key_1', accountId: acc, changes: [change] },
    entry: undefined,
  },
  {
    message: 'ApiKeyRevoked',
    type: 'token.key_revoked',
    body: { keyId: 'key_1', accountId: acc, fingerprint: '0123456789ab' },
    entry: undefined,
  },
  {
    message: 'SubscriptionCreated',
    type: 'billing.subscription_created',
    body: { organizationId: org, plan: 'PLAN_FREE' },
    entry: {
      organizationIds: [org],
      subjectId: org,
      changes: [{ field: 'plan', from: '', to: 'PLAN_FREE' }],
    },
  },
  {
    message: 'BillingDetailsUpdated',
    type: 'billing.billing_details_updated',
    body: { organizationId: org },
    entry: { organizationIds: [org], subjectId: org },
  },
  {
    message: 'PlanChanged',
    type: 'billing.plan_changed',
    body: { organizationId: org, oldPlan: 'PLAN_FREE', plan: 'PLAN_SCALE' },
    entry: {
      organizationIds: [org],
      subjectId: org,
      changes: [{ field: 'plan', from: 'PLAN_FREE', to: 'PLAN_SCALE' }],
    },
  },
];

function entryFor(type: string, body: Record<string, unknown>) {
  return entryOf({
    id: 'evt_1',
    type: `internal.silo.${type}.v1`,
    time,
    actor: acc,
    body: { ...body, ...by },
  });
}

for (const [index, { message, type, body, entry }] of rows.entries()) {
  const seen = entry === undefined ? 'nobody sees it' : 'the organizations that it names see it';
  test(`${message} (row ${index + 1}): ${seen}`, (t) => {
    const empty = { projectId: '', subjectId: '', moveId: '', undoOf: '', changes: [] };
    const expected = entry && { ...empty, id: 'evt_1', time, type, actor: acc, ...entry };
    t.deepEqual(entryFor(type, body) as unknown, expected);
  });
}

test('every message of events.proto has a row and a converter', (t) => {
  const messages = Object.entries(events)
    .filter(([, value]) => typeof value === 'object' && value !== null && 'fromJSON' in value)
    .map(([name]) => name)
    .filter((name) => name !== 'FieldChange');
  t.true(messages.length > 20);
  t.deepEqual([...new Set(rows.map(({ message }) => message))].sort(), messages.sort());
  t.deepEqual([...new Set(rows.map(({ type }) => type))].sort(), Object.keys(converters).sort());
});

const { types } = loadImage();

/** The enum fields of an event's message, as JSON names them. */
function enumFieldsOf(message: string): string[] {
  const fields = types.getMessage(`silo.events.v1.${message}`)?.fields ?? [];
  return fields.filter((field) => field.enum !== undefined).map(({ jsonName }) => jsonName);
}

const withEnums = rows.filter(({ message }) => enumFieldsOf(message).length > 0);

test('a plan of a newer release is shown by its name', (t) => {
  const body = { organizationId: org, oldPlan: 'PLAN_FREE', plan: 'PLAN_OF_TOMORROW' };
  t.deepEqual(entryFor('billing.plan_changed', body)?.changes, [
    { field: 'plan', from: 'PLAN_FREE', to: 'PLAN_OF_TOMORROW' },
  ]);
});

for (const { message, type, body } of withEnums) {
  for (const [given, shown] of [
    ['VALUE_OF_TOMORROW', 'VALUE_OF_TOMORROW'],
    [987, 'UNKNOWN (987)'],
  ] as const) {
    test(`${message}: its entry shows the unknown enum value ${given}`, (t) => {
      for (const field of enumFieldsOf(message)) {
        const entry = entryFor(type, { ...body, [field]: given });
        const known = entryFor(type, body);
        t.deepEqual({ ...entry, changes: [] }, { ...known, changes: [] });
        const texts = entry?.changes.flatMap(({ from, to }) => [from, to]);
        t.true(texts?.includes(shown), field);
      }
    });
  }
}

test('the rows hold every event with an enum', (t) => {
  const messages = new Set(withEnums.map(({ message }) => message));
  t.true(messages.size >= 6);
});

for (const [index, { message, type, body }] of rows.entries()) {
  test(`${message} (row ${index + 1}): a field of a newer release changes nothing`, (t) => {
    const newer = { ...body, ofTomorrow: { values: [1, 'x'] } };
    t.deepEqual(entryFor(type, newer), entryFor(type, body));
  });
}

const unreadable: [what: string, type: string][] = [
  ['an event that a newer release invented', 'project.teleported'],
  ['a newer version of an event', 'org.member_added.v2'],
];

for (const [what, type] of unreadable) {
  test(`${what} makes an entry for the organizations that it names`, (t) => {
    const entry = entryOf({
      id: 'evt_1',
      type: type.endsWith('.v2') ? `internal.silo.${type}` : `internal.silo.${type}.v1`,
      time,
      actor: acc,
      body: { organizationId: org, projectId: prj, speed: 'WARP' },
    });
    t.deepEqual(entry, {
      ...{ id: 'evt_1', time, type, actor: acc, organizationIds: [org], projectId: prj },
      ...{ subjectId: '', moveId: '', undoOf: '', changes: [] },
    });
  });
}

test('an event that cannot be decoded makes an entry for the organizations that it names', (t) => {
  const moved = { oldOrganizationId: org, newOrganizationId: other, projectId: prj, moveId: mov };
  const entry = entryFor('project.moved', { ...moved, projectCount: 'many' });
  t.like(entry, { type: 'project.moved', projectId: prj, moveId: mov, changes: [] });
  t.deepEqual(entry?.organizationIds, [org, other]);
});

test('an unknown event that names no organization makes no entry', (t) => {
  t.is(entryFor('project.teleported', { projectId: prj }), undefined);
  t.is(entryFor('constructor', {}), undefined);
  for (const body of [null, 'text', [], 7, { organizationId: 7 }]) {
    const event = { id: 'x', type: 'internal.silo.project.created.v1', time, actor: acc, body };
    t.is(entryOf(event), undefined);
  }
});

test('what an older follower stored is answered', (t) => {
  const stored = {
    ...{ _id: 'evt_1', sequence: 1, time, type: 'project.created', actor: acc },
    ...{ organizationIds: [org], projectId: prj, subjectId: '', moveId: '', changes: [change] },
  };
  const bytes = ListActivityResponse.encode({
    entries: [activityMessage(stored)],
    nextPageToken: '',
  }).finish();
  const [entry] = ListActivityResponse.decode(bytes).entries;
  t.like(entry, { id: 'evt_1', type: 'project.created', undoOf: '', changes: [change] });
});
