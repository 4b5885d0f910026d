import type { EventBody, EventName } from '@silo/log/decode-event.ts';
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';

const ulid = '01k8zq3v5w6x7y8z9a0b1c2d3e';
const account = `acc_${ulid}`;
const organization = `org_us_${ulid}`;
const project = `prj_${ulid}`;
const key = `key_${ulid}`;
const invite = `inv_${ulid}`;
const move = `mov_${ulid}`;
const migration = `mig_us_${ulid}`;
const rest = { revision: 7, actor: account, time: new Date('2026-02-03T04:05:06.789Z') };
const changes = [{ field: 'name', from: 'Günther’s "app"', to: 'a.b $host\n日本' }];

/** One event of each kind, with every field set: the source of the golden files. */
export const samples: { [Name in EventName]: { subject: string; body: EventBody<Name> } } = {
  'org.account_created': {
    subject: account,
    body: { accountId: account, organizationId: organization, ...rest },
  },
  'org.account_updated': { subject: account, body: { accountId: account, changes, ...rest } },
  'org.organization_created': {
    subject: organization,
    body: { organizationId: organization, name: 'Acme', ownerAccountId: account, ...rest },
  },
  'org.organization_updated': {
    subject: organization,
    body: { organizationId: organization, changes, membersMayCreateProjects: true, ...rest },
  },
  'org.organization_deleted': {
    subject: organization,
    body: { organizationId: organization, name: 'Acme', ...rest },
  },
  'org.member_added': {
    subject: organization,
    body: {
      ...{ organizationId: organization, accountId: account, level: Level.LEVEL_MEMBER },
      ...rest,
    },
  },
  'org.member_updated': {
    subject: organization,
    body: {
      organizationId: organization,
      accountId: account,
      oldLevel: Level.LEVEL_OWNER,
      level: Level.LEVEL_ADMIN,
      ...rest,
    },
  },
  'org.member_removed': {
    subject: organization,
    body: {
      organizationId: organization,
      accountId: account,
      oldLevel: Level.LEVEL_ADMIN,
      left: true,
      ...rest,
    },
  },
  'org.invite_created': {
    subject: organization,
    body: {
      organizationId: organization,
      inviteId: invite,
      level: Level.LEVEL_ADMIN,
      expireTime: new Date('2026-02-10T04:05:06.789Z'),
      ...rest,
    },
  },
  'org.invite_deleted': {
    subject: organization,
    body: { organizationId: organization, inviteId: invite, ...rest },
  },
  'org.invite_accepted': {
    subject: organization,
    body: { organizationId: organization, inviteId: invite, accountId: account, ...rest },
  },
  'project.created': {
    subject: project,
    body: { projectId: project, organizationId: organization, name: 'Staging', ...rest },
  },
  'project.updated': {
    subject: project,
    body: { projectId: project, organizationId: organization, changes, ...rest },
  },
  'project.moved': {
    subject: project,
    body: {
      projectId: project,
      oldOrganizationId: organization,
      newOrganizationId: 'org_us_01k8zq3v5w6x7y8z9a0b1c2d3f',
      moveId: move,
      name: 'Production',
      // As in the first release; later fields are in `extended`.
      undoOf: '',
      projectCount: 0,
      ...rest,
    },
  },
  'project.deleted': {
    subject: project,
    body: {
      projectId: project,
      organizationId: organization,
      name: 'Staging',
      purgeTime: new Date('2026-02-10T04:05:06.789Z'),
      ...rest,
    },
  },
  'project.move_finalized': {
    subject: move,
    body: {
      moveId: move,
      oldOrganizationId: organization,
      newOrganizationId: 'org_us_01k8zq3v5w6x7y8z9a0b1c2d3f',
      projectIds: [project, 'prj_01k8zq3v5w6x7y8z9a0b1c2d3f'],
      ...rest,
    },
  },
  'project.undeleted': {
    subject: project,
    body: { projectId: project, organizationId: organization, name: 'Staging', ...rest },
  },
  'project.held': {
    subject: project,
    body: {
      ...{ projectId: project, organizationId: organization, migrationId: migration },
      ...rest,
    },
  },
  'project.released': {
    subject: project,
    body: {
      ...{ projectId: project, organizationId: organization, migrationId: migration },
      ...rest,
    },
  },
  'project.migrated': {
    subject: project,
    body: {
      projectId: project,
      oldOrganizationId: organization,
      newOrganizationId: 'org_eu_01k8zq3v5w6x7y8z9a0b1c2d3f',
      oldRegion: 'us',
      newRegion: 'eu',
      migrationId: migration,
      name: 'Production',
      ...rest,
    },
  },
  'project.events_deleted': {
    subject: project,
    body: {
      projectId: project,
      organizationId: organization,
      deletionId: 'evd_01k8zq3v5w6x7y8z9a0b1c2d3e',
      filterFields: ['end_time', 'properties.$host'],
      ...rest,
    },
  },
  'project.slots_changed': {
    subject: organization,
    body: {
      organizationId: organization,
      oldLimit: 6,
      limit: undefined,
      count: 0,
      closed: false,
      ...rest,
    },
  },
  'token.created': {
    subject: project,
    body: { projectId: project, fingerprint: '0123456789ab', ...rest },
  },
  'token.revoked': {
    subject: project,
    body: {
      projectId: project,
      organizationId: organization,
      fingerprint: '0123456789ab',
      newFingerprint: 'ba9876543210',
      ...rest,
    },
  },
  'token.key_created': {
    subject: key,
    body: {
      keyId: key,
      accountId: account,
      name: 'deploy',
      fingerprint: '0123456789ab',
      scopes: ['project:write', 'token:read'],
      ...rest,
    },
  },
  'token.key_updated': {
    subject: key,
    body: { keyId: key, accountId: account, changes, disabled: true, ...rest },
  },
  'token.key_revoked': {
    subject: key,
    body: {
      keyId: key,
      accountId: account,
      fingerprint: '0123456789ab',
      newFingerprint: '',
      ...rest,
    },
  },
  'billing.subscription_created': {
    subject: organization,
    body: { organizationId: organization, plan: Plan.PLAN_FREE, ...rest },
  },
  'billing.billing_details_updated': {
    subject: organization,
    body: { organizationId: organization, ...rest },
  },
  'billing.plan_changed': {
    subject: organization,
    body: {
      ...{ organizationId: organization, oldPlan: Plan.PLAN_FREE, plan: Plan.PLAN_SCALE },
      ...rest,
    },
  },
};

/**
 * Events with fields of a later release; each has a golden file in addition to that of its first
 * form.
 */
export const extended: { file: string; name: EventName; subject: string; body: object }[] = [
  {
    file: 'project.moved-2',
    name: 'project.moved',
    subject: project,
    body: {
      ...samples['project.moved'].body,
      undoOf: 'mov_01k8zq3v5w6x7y8z9a0b1c2d3f',
      projectCount: 500,
    },
  },
];
