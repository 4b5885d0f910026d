import type { EventLog, Transaction } from '@silo/log/event-log.ts';
import { mutation, testEventLog } from '@silo/log/test/support.ts';
import type { MongoConnection } from '@silo/mongo/connect.ts';
import { prepare } from '@silo/mongo/test/support.ts';
import type { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { newId } from '@silo/tokens/ids.ts';
import { hashOf, newInviteCode } from '@silo/tokens/secrets.ts';
import type { ExecutionContext } from 'ava';
import { comparable } from '../rules/email.ts';
import { newAccount, newOrganization } from '../rules/founding.ts';
import type { AccountDocument, InviteDocument, OrganizationDocument } from '../store/documents.ts';
import { createStores, type Stores, storeMigrations } from '../store/set-up.ts';

/** Stores over a database of the test's own. */
export type StoreHarness = {
  connection: MongoConnection;
  eventLog: EventLog;
  stores: Stores;
  signal: AbortSignal;
  /** Runs the body in one transaction, as a handler does. */
  decide<T>(body: (tx: Transaction) => Promise<T>): Promise<T>;
};

export async function storeHarness(t: ExecutionContext): Promise<StoreHarness> {
  const { connection, eventLog } = await testEventLog(t, 'org');
  await prepare(connection.db, storeMigrations);
  return {
    connection,
    eventLog,
    stores: createStores(connection.db),
    signal: AbortSignal.timeout(600_000),
    decide: async (body) => (await eventLog.decide(mutation(), body)).value,
  };
}

export function anAccount(email: string): AccountDocument {
  const createTime = new Date();
  return newAccount({ accountId: newId('acc'), email, displayName: 'Somebody', createTime });
}

export function anOrganization(organizationName: string): OrganizationDocument {
  const organizationId = newId('org_us');
  return newOrganization({ organizationId, organizationName, createTime: new Date() });
}

export function aMembership(accountId: string, organizationId: string, level: Level, atMs = 0) {
  return { accountId, organizationId, level, revision: 1, joinTime: new Date(atMs) };
}

export function anInvite(
  organizationId: string,
  email: string,
  rest: Partial<InviteDocument> = {},
): InviteDocument {
  const createTime = new Date();
  return {
    _id: newId('inv'),
    organizationId,
    email,
    comparableEmail: comparable(email),
    level: 1,
    inviterAccountId: newId('acc'),
    codeHash: hashOf(newInviteCode()),
    createTime,
    // A time after the end of any test, because MongoDB removes expired invites.
    expireTime: new Date(createTime.getTime() + 3_600_000),
    ...rest,
  };
}
