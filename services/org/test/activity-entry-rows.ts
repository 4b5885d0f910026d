/** One row for each kind of event: its body, and its entry in the activity log. */

export const org = 'org_us_01aaaaaaaaaaaaaaaaaaaaaaaa';
export const other = 'org_us_01bbbbbbbbbbbbbbbbbbbbbbbb';
export const prj = 'prj_01cccccccccccccccccccccccc';
export const acc = 'acc_01dddddddddddddddddddddddd';
export const inv = 'inv_01eeeeeeeeeeeeeeeeeeeeeeee';
export const mov = 'mov_01ffffffffffffffffffffffff';
export const time = new Date('2026-01-02T03:04:05.678Z');
export const by = { revision: 3, actor: acc, time: time.toISOString() };
export const change = { field: 'name', from: 'a', to: 'b' };

type Row = {
  message: string;
  type: string;
  body: Record<string, unknown>;
  /** Undefined if nobody sees the event. */
  entry: Record<string, unknown> | undefined;
};

export const rows: Row[] = [
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
    message: 'ProjectHeld',
    type: 'project.held',
    body: { projectId: prj, organizationId: org, migrationId: 'mig_us_1' },
    entry: undefined,
  },
  {
    message: 'ProjectReleased',
    type: 'project.released',
    body: { projectId: prj, organizationId: org, migrationId: 'mig_us_1' },
    entry: undefined,
  },
  {
    message: 'ProjectMigrated',
    type: 'project.migrated',
    body: {
      ...{ projectId: prj, oldOrganizationId: org, newOrganizationId: 'org_eu_1' },
      ...{ oldRegion: 'us', newRegion: 'eu', migrationId: 'mig_us_1', name: 'x' },
    },
    entry: {
      organizationIds: [org, 'org_eu_1'],
      projectId: prj,
      subjectId: 'mig_us_1',
      changes: [
        { field: 'region', from: 'us', to: 'eu' },
        { field: 'organization_id', from: org, to: 'org_eu_1' },
      ],
    },
  },
  {
    message: 'EventsDeleted',
    type: 'project.events_deleted',
    body: {
      ...{ projectId: prj, organizationId: org, deletionId: 'evd_1' },
      filterFields: ['names', 'properties.$host'],
    },
    entry: {
      organizationIds: [org],
      projectId: prj,
      subjectId: 'evd_1',
      changes: [{ field: 'events', from: 'names, properties.$host', to: '' }],
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
