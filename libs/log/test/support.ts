import { createHash, randomUUID } from 'node:crypto';
import { Authorization } from '@silo/access/authorization.ts';
import type { Permit } from '@silo/access/permits.ts';
import type { MongoConnection } from '@silo/mongo/connect.ts';
import type { Mutation } from '@silo/mongo/mutation.ts';
import { prepare, testDatabase } from '@silo/mongo/test/support.ts';
import { type Clock, systemClock } from '@silo/runtime/clock.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import type { ExecutionContext } from 'ava';
import { createEventLog, type EventLog } from '../event-log.ts';
import type { LogService } from '../log-reader.ts';
import { logMigrations } from '../set-up.ts';

/** An event log over a prepared database for one test, and a way to open further instances. */
export async function testEventLog(
  t: ExecutionContext,
  service: LogService = 'project',
): Promise<{
  connection: MongoConnection;
  eventLog: EventLog;
  another(options?: { sequencesOwn?: boolean; clock?: Clock }): Promise<EventLog>;
}> {
  const database = await testDatabase(t);
  const open: EventLog[] = [];
  const make = (
    connection: MongoConnection,
    options: { sequencesOwn?: boolean; clock?: Clock } = {},
  ) => {
    const { client, db } = connection;
    const log = silentLogger();
    const eventLog = createEventLog({
      ...{ client, db, service, region: 'us', clock: systemClock, log },
      ...options,
    });
    open.push(eventLog);
    return eventLog;
  };
  const connection = await database.connect();
  await prepare(connection.db, logMigrations);
  const eventLog = make(connection);
  // ava runs teardowns in reverse order, so logs close before their connections.
  t.teardown(() => Promise.all(open.map((each) => each[Symbol.asyncDispose]())));
  return {
    connection,
    eventLog,
    another: async (options) => make(await database.connect(), options),
  };
}

/** A mutation by an account, with a request_id if one is given. */
export function mutation(
  options: {
    requestId?: string;
    account?: string;
    body?: string;
    signal?: AbortSignal;
    authorization?: Authorization;
    awaitsPosition?: boolean;
  } = {},
): Mutation {
  const {
    requestId,
    account = 'acc_1',
    body = 'body',
    signal,
    authorization,
    awaitsPosition,
  } = options;
  const sha256 = (text: string) => createHash('sha256').update(text).digest();
  return {
    id: `call_${randomUUID()}`,
    actor: account,
    request:
      requestId === undefined
        ? undefined
        : { id: requestId, key: sha256(`${account}/${requestId}`), bodyHash: sha256(body) },
    signal: signal ?? AbortSignal.timeout(600_000),
    authorization,
    awaitsPosition,
  };
}

/**
 * A permit that the test can revoke, and that reports whether it was released; the only one of its
 * authorization.
 */
export function testPermit() {
  const state = { isHeld: true, isReleased: false };
  const permit: Permit = {
    remainingMs: () => (state.isHeld && !state.isReleased ? 30_000 : 0),
    release: () => {
      state.isReleased = true;
    },
  };
  return { permit, state, authorization: new Authorization(permit) };
}
