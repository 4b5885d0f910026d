import { describePlan } from '@silo/billing-service/rules/plan-catalogue.ts';
import type { OrganizationDocument } from '@silo/org-service/store/documents.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { ServiceLog, Snapshot } from './snapshot.ts';
import { Findings, type Violation } from './violation.ts';

/**
 * Checks every organization: its counts of members, its slots and its subscription exist and agree.
 */
export function checkOrganizations(snapshot: Snapshot): Violation[] {
  const findings = new Findings();
  const { org, project, billing, logs } = snapshot;
  const founding = openFor(logs.org, 'create-account', 'create-organization');
  const deleting = openFor(logs.org, 'delete-organization');
  const changing = openFor(logs.billing, 'change-plan');
  const slots = new Map(project.slots.map((each) => [each._id, each]));
  const subscriptions = new Map(billing.subscriptions.map((each) => [each._id, each]));
  for (const organization of org.organizations) {
    const { _id } = organization;
    checkMembers(findings, organization, snapshot, deleting.has(_id));
    if (founding.has(_id)) continue;
    const own = slots.get(_id);
    const subscription = subscriptions.get(_id);
    findings.expect(own !== undefined, 'every organization has slots', _id);
    findings.expect(subscription !== undefined, 'every organization has a subscription', _id);
    if (own === undefined || subscription === undefined || deleting.has(_id)) continue;
    const isDeleted = organization.deleteTime !== undefined;
    const ends = `${_id}: deleted ${isDeleted}, slots ${own.closed}, subscription ${subscription.closed}`;
    findings.expect(
      own.closed === isDeleted && subscription.closed === isDeleted,
      'slots and subscription end with their organization, and only then',
      ends,
    );
    findings.expect(!isDeleted || own.count === 0, 'a deleted organization has no project', _id);
    if (isDeleted || changing.has(_id)) continue;
    const limit = describePlan(subscription.plan).projectLimit ?? null;
    findings.expect(
      own.limit === limit,
      'the limit is that of the plan',
      `${_id} may have ${own.limit}, plan ${subscription.plan} says ${limit}`,
    );
  }
  checkNobodyAstray(findings, snapshot);
  return findings.violations;
}

/** The organizations of open sagas of these kinds. */
function openFor({ sagas }: ServiceLog, ...kinds: string[]): Set<string> {
  const open = sagas.filter((saga) => saga.open && kinds.includes(saga.kind));
  return new Set(open.map(({ data }) => String(data.organizationId)));
}

function checkMembers(
  findings: Findings,
  { _id, deleteTime, ...counted }: OrganizationDocument,
  { org }: Snapshot,
  isDeleting: boolean,
): void {
  const members = org.memberships.filter(({ organizationId }) => organizationId === _id);
  const owners = members.filter(({ level }) => level === Level.LEVEL_OWNER).length;
  const invites = org.invites.filter(({ organizationId }) => organizationId === _id).length;
  const { ownerCount, memberCount } = counted;
  const found = `${_id} counts ${ownerCount}, ${memberCount}; has ${owners}, ${members.length}, and ${invites} invites`;
  const isDeleted = deleteTime !== undefined;
  findings.expect(!isDeleted || invites === 0, 'a deleted organization has no invites', found);
  // The saga removes the memberships after the organization is deleted.
  if (isDeleted && isDeleting) return;
  findings.expect(
    ownerCount === owners && memberCount === members.length,
    'an organization counts its owners and members',
    found,
  );
  findings.expect(
    isDeleted ? members.length === 0 : owners >= 1,
    'an organization has an owner until it is deleted, and then no members',
    found,
  );
}

/** Checks that everything of an organization belongs to an existing one. */
function checkNobodyAstray(
  findings: Findings,
  { org, project, billing }: Pick<Snapshot, 'org' | 'project' | 'billing'>,
): void {
  const organizations = new Set(org.organizations.map(({ _id }) => _id));
  const accounts = new Set(org.accounts.map(({ _id }) => _id));
  const named = [
    ...project.slots.map(({ _id }) => _id),
    ...billing.subscriptions.map(({ _id }) => _id),
    ...org.memberships.map(({ organizationId }) => organizationId),
    ...org.invites.map(({ organizationId }) => organizationId),
  ];
  for (const id of named) {
    findings.expect(organizations.has(id), 'everything belongs to an existing organization', id);
  }
  for (const { _id, accountId } of org.memberships) {
    findings.expect(accounts.has(accountId), 'every member is an account', _id);
  }
}
