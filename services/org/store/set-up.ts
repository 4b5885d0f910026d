import { indexMigration } from '@silo/mongo/indexes.ts';
import type { Migration } from '@silo/mongo/migrations.ts';
import { retentionSeconds } from '@silo/mongo/retention.ts';
import type { Db } from 'mongodb';
import { createAccountStore } from './accounts.ts';
import { createActivityStore, followFromStart } from './activity.ts';
import { createInviteStore } from './invites.ts';
import { createMemberStore } from './members.ts';
import { createOrganizationStore } from './organizations.ts';

/** The org service's stores, except its event log and sagas. */
export type Stores = ReturnType<typeof createStores>;

/** Opens the stores in the service's database. */
export function createStores(db: Db) {
  return {
    accounts: createAccountStore(db),
    organizations: createOrganizationStore(db),
    members: createMemberStore(db),
    invites: createInviteStore(db),
    activity: createActivityStore(db),
  };
}

/** The service's collections and indexes, and the first positions of its activity log. */
export const storeMigrations: readonly Migration[] = [
  indexMigration('indexes', {
    accounts: [{ key: { comparableEmail: 1 }, unique: true }],
    organizations: [{ key: { deleteTime: 1 }, expireAfterSeconds: retentionSeconds.tombstone }],
    memberships: [
      { key: { organizationId: 1, joinTime: 1, accountId: 1 } },
      { key: { accountId: 1, organizationId: 1 } },
      { key: { organizationId: 1, accountId: 1, level: 1 } },
    ],
    invites: [
      { key: { codeHash: 1 }, unique: true },
      { key: { organizationId: 1, _id: 1 } },
      { key: { organizationId: 1, expireTime: 1 } },
      { key: { comparableEmail: 1, organizationId: 1 } },
      { key: { expireTime: 1 }, expireAfterSeconds: 0 },
    ],
    activity: [
      { key: { organizationIds: 1, time: -1, sequence: -1, _id: -1 } },
      { key: { organizationIds: 1, projectId: 1, time: -1, sequence: -1, _id: -1 } },
      { key: { time: 1 }, expireAfterSeconds: retentionSeconds.activity },
    ],
    activity_positions: [],
  }),
  followFromStart,
];
