import { newApiKey } from '@silo/tokens/secrets.ts';
import { any, type Breakage, change, exchange, omit } from './breakage.ts';
import { projectBreakages } from './project-breakages.ts';

/** Injected faults in the databases, and the invariant that each violates. */
export const breakages: Breakage[] = [
  ...projectBreakages,
  {
    what: 'an organization without a subscription',
    where: 'billing.subscriptions',
    spoil: (all) => omit(all, any),
    found: 'every organization has a subscription',
  },
  {
    what: 'a subscription without an organization',
    where: 'billing.subscriptions',
    spoil: (all) => [...all, { ...all[0], _id: 'org_us_nobody' }],
    found: 'everything belongs to an existing organization',
  },
  {
    what: 'a plan that changed without an event',
    where: 'billing.subscriptions',
    spoil: (all) => change(all, any, ({ revision }) => ({ revision: revision + 1 })),
    found: 'every change is emitted',
  },
  {
    what: 'an organization without an owner',
    where: 'org.memberships',
    spoil: (all, { bob }) =>
      all.map((each) =>
        each.organizationId === bob.organization.id ? { ...each, level: 1 } : each,
      ),
    found: 'an organization has an owner until it is deleted, and then no members',
  },
  {
    what: 'an invite to a deleted organization',
    where: 'org.invites',
    spoil: (all, { deletedOrganizationId }) => [
      ...all,
      { _id: 'left', organizationId: deletedOrganizationId },
    ],
    found: 'a deleted organization has no invites',
  },
  {
    what: 'an owner who is not counted',
    where: 'org.organizations',
    spoil: (all) => change(all, any, ({ ownerCount }) => ({ ownerCount: ownerCount + 1 })),
    found: 'an organization counts its owners and members',
  },
  {
    what: 'a member who is not counted',
    where: 'org.memberships',
    spoil: (all) => omit(all, any),
    found: 'an organization counts its owners and members',
  },
  {
    what: 'a change of members without an event',
    where: 'org.organizations',
    spoil: (all) =>
      change(all, any, ({ memberRevision }) => ({ memberRevision: memberRevision + 1 })),
    found: 'every change is emitted',
  },
  {
    what: 'an organization that no saga founded',
    where: 'org.sagas',
    spoil: (all) => omit(all, ({ kind }) => kind === 'create-account'),
    found: 'an organization is founded by a saga',
  },
  {
    what: 'a member without an account',
    where: 'org.accounts',
    spoil: (all) => omit(all, any),
    found: 'every member is an account',
  },
  {
    what: 'a gap in a log',
    where: 'org.events',
    spoil: (all) => omit(all, ({ _id }) => _id === 3),
    found: 'a log has no gap',
  },
  {
    what: 'a counter that is too high',
    where: 'billing.log',
    spoil: (all) => change(all, any, ({ sequence }) => ({ sequence: sequence + 1 })),
    found: 'the last sequence of a log equals its counter',
  },
  {
    what: 'revisions in the wrong order',
    where: 'billing.events',
    spoil: (all) => exchange(all, 'billing_details_updated', 'plan_changed'),
    found: 'revisions of one thing ascend',
  },
  {
    what: 'a secret in a document',
    where: 'org.accounts',
    spoil: (all) => change(all, any, () => ({ displayName: `my key is ${newApiKey()}` })),
    found: 'no secret is stored or published',
  },
  {
    what: 'a request id in a document',
    where: 'org.requests',
    spoil: (all) => change(all, any, () => ({ sagaId: '3f1a3c1e-5b7c-4a51-9d35-0a8f4b6f1c22' })),
    found: 'no request id is stored or published',
  },
  {
    what: 'an account that no saga founded',
    where: 'org.accounts',
    spoil: (all) => [...all, { ...all[0], _id: 'acc_unfounded' }],
    found: 'an account is founded by a saga',
  },
];
