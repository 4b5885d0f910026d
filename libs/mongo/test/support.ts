import { createHash, randomUUID } from 'node:crypto';
import { systemClock } from '@silo/runtime/clock.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import type { ExecutionContext } from 'ava';
import { connectMongo, type MongoConnection } from '../connect.ts';
import { createEventLog, type EventLog, type LogService } from '../event-log.ts';
import { setUpEventLog } from '../indexes.ts';
import type { Mutation, Permit } from '../mutation.ts';

/** The replica set that the test runner started. */
export function mongodbUrl(): string {
  const url = process.env.MONGODB_URL;
  if (url === undefined) throw new Error('MONGODB_URL is not set: start tests with npm test');
  return url;
}

/** A database of the test's own, dropped when it ends. Each connection stands for a process. */
export async function testDatabase(
  t: ExecutionContext,
): Promise<{ name: string; connect(): Promise<MongoConnection> }> {
  const slug = t.title
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .slice(0, 30);
  const name = `${slug}_${randomUUID().slice(0, 8)}`;
  const open: MongoConnection[] = [];
  const connect = async () => {
    const url = new URL(mongodbUrl());
    // A server that a fail point made unknown is looked at again after that; after 10 s else.
    url.searchParams.set('heartbeatFrequencyMS', '500');
    const connection = await connectMongo({ url: url.href, database: name, appName: name });
    open.push(connection);
    return connection;
  };
  const { db } = await connect();
  t.teardown(async () => {
    await db.dropDatabase();
    await Promise.all(open.map((connection) => connection[Symbol.asyncDispose]()));
  });
  return { name, connect };
}

/** An event log over a prepared database of the test's own, and a way to get more instances. */
export async function testEventLog(
  t: ExecutionContext,
  service: LogService = 'project',
): Promise<{
  connection: MongoConnection;
  eventLog: EventLog;
  another(options?: { numbersOwn?: boolean }): Promise<EventLog>;
}> {
  const database = await testDatabase(t);
  const open: EventLog[] = [];
  const make = (connection: MongoConnection, options: { numbersOwn?: boolean } = {}) => {
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
  await setUpEventLog(connection.db);
  const eventLog = make(connection);
  // ava runs teardowns last to first: logs close before their connections do.
  t.teardown(() => Promise.all(open.map((each) => each[Symbol.asyncDispose]())));
  return {
    connection,
    eventLog,
    another: async (options) => make(await database.connect(), options),
  };
}

/** A mutation by some account; with a request_id where one is given. */
export function mutation(
  options: {
    requestId?: string;
    account?: string;
    body?: string;
    signal?: AbortSignal;
    permits?: Permit[];
    awaitsPosition?: boolean;
  } = {},
): Mutation {
  const { requestId, account = 'acc_1', body = 'body', signal, permits, awaitsPosition } = options;
  const sha256 = (text: string) => createHash('sha256').update(text).digest();
  return {
    id: `call_${randomUUID()}`,
    actor: account,
    request:
      requestId === undefined
        ? undefined
        : { id: requestId, key: sha256(`${account}/${requestId}`), bodyHash: sha256(body) },
    signal: signal ?? AbortSignal.timeout(30_000),
    permits,
    awaitsPosition,
  };
}

/** A permit that the test takes away, and that tells whether it was let go. */
export function testPermit() {
  const state = { isHeld: true, isReleased: false };
  const permit: Permit = {
    isHeld: () => state.isHeld && !state.isReleased,
    release: () => {
      state.isReleased = true;
    },
  };
  return { permit, state };
}

/** Tries `check` until it passes; rejects with its last failure after `withinMs`. */
export async function eventually<T>(check: () => T | Promise<T>, withinMs = 120_000): Promise<T> {
  const endMs = performance.now() + withinMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() >= endMs) throw error;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    setTimeout(resolve, 20);
    await promise;
  }
}
