import { Authorization } from '@silo/access/authorization.ts';
import type { Permit } from '@silo/access/permits.ts';
import { errors } from '@silo/errors/errors.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import { findAsOfNow } from '@silo/mongo/as-of-now.ts';
import { connectMongo } from '@silo/mongo/connect.ts';
import { readLinearizable } from '@silo/mongo/linearizable.ts';
import { testDatabase } from '@silo/mongo/test/support.ts';
import { CommitUnknown, transact } from '@silo/mongo/transaction-retry.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import test, { type ExecutionContext } from 'ava';
import { type Document, MongoServerError } from 'mongodb';
import { required } from '../../../test/harness/environment.ts';
import { untilAnswered } from '../../../test/harness/eventually.ts';
import type { Codec, EventLog } from '../event-log.ts';
import { mutation, testEventLog, testPermit } from './support.ts';

// A fail point of the server affects all of its clients. So these tests run one after another,
// affect only connections of their own application name, and no other file sets a fail point on
// this server.
const serial = test.serial;

const text: Codec<string> = {
  encode: (response) => ({ finish: () => Buffer.from(response, 'utf8') }),
  decode: (bytes) => Buffer.from(bytes).toString('utf8'),
};

async function failCommand(
  t: ExecutionContext,
  appName: string,
  mode: Document | 'alwaysOn',
  data: Document,
): Promise<{ off(): Promise<void> }> {
  const located = { url: required('MONGODB_URL'), database: 'admin', appName: 'fail' };
  const connection = await untilAnswered(() => connectMongo(located));
  const admin = connection.client.db('admin');
  const failPoint = { configureFailPoint: 'failCommand' };
  await admin.command({ ...failPoint, mode, data: { ...data, appName } });
  const off = async () => {
    await admin.command({ ...failPoint, mode: 'off' });
  };
  t.teardown(async () => {
    // It waits for commands in the fail point, and may fail; the process must be able to end.
    await off().finally(() => connection[Symbol.asyncDispose]());
  });
  return { off };
}

async function refusal(t: ExecutionContext, promise: Promise<unknown>): Promise<SiloError> {
  const error = await t.throwsAsync(promise, { instanceOf: SiloError });
  if (!(error instanceof SiloError)) throw new TypeError('not refused');
  return error;
}

function insert(eventLog: EventLog, options: Parameters<typeof mutation>[0] = {}) {
  return eventLog.mutate(mutation(options), text, async (tx) => {
    const things = tx.db.collection('things');
    await things.insertOne({}, { session: tx.session });
    tx.emit({ event: 'updated', subject: 'prj_1', body: {} });
    return { response: `made ${await things.countDocuments({}, { session: tx.session })}` };
  });
}

const commits = { failCommands: ['commitTransaction'] };
const networkError = { ...commits, closeConnection: true };
/** The command is executed, and its answer says that the outcome is unknown. */
const unknownOutcome = {
  ...commits,
  writeConcernError: { code: 91, errmsg: 'shutting down' },
};

for (const [what, data] of Object.entries({ networkError, unknownOutcome })) {
  for (const times of [1, 3]) {
    serial(`a commit whose answer is lost (${what}, ${times} times) has one effect`, async (t) => {
      const { connection, eventLog } = await testEventLog(t);
      const { db } = connection;
      await db.createCollection('things');
      await failCommand(t, db.databaseName, { times }, data);
      const made = await insert(eventLog);
      t.is(made.response, 'made 1');
      t.is((await eventLog.position(made.eventIds, AbortSignal.timeout(60_000))).sequence, 1);
      t.is(await db.collection('things').countDocuments(), 1);
    });
  }
}

serial('a change whose commit stayed unknown is found by its request id', async (t) => {
  const { connection, eventLog } = await testEventLog(t);
  const { db } = connection;
  await db.createCollection('things');
  const { off } = await failCommand(t, db.databaseName, 'alwaysOn', unknownOutcome);
  const gone = new AbortController();
  const { signal } = gone;
  // The permit is checked when the transaction begins, before its commit is sent, and before the
  // commit is repeated.
  const { authorization } = permitOf(t, (look) => {
    if (look > 2) gone.abort();
    return 30_000;
  });
  const unknown = await refusal(t, insert(eventLog, { requestId: 'r1', signal, authorization }));
  t.is(unknown.reason, ErrorReason.ERROR_REASON_DEPENDENCY_UNAVAILABLE);
  await off();
  t.like(await insert(eventLog, { requestId: 'r1' }), { response: 'made 1', repeated: true });
  t.is((await eventLog.head(AbortSignal.timeout(60_000))).sequence, 1);
});

/** MongoDB gives these answers to a commit only if the transaction did not happen. */
const notCommitted = {
  ...{ LockTimeout: 24, WriteConflict: 112, SnapshotTooOld: 239, SnapshotUnavailable: 246 },
  ...{ NoSuchTransaction: 251 },
};
/** MongoDB may give these answers to a commit that was carried out, or to its repetition. */
const unproven = {
  ...{ InternalError: 1, HostUnreachable: 6, HostNotFound: 7, Unauthorized: 13 },
  ...{ AuthenticationFailed: 18, CursorNotFound: 43, MaxTimeMSExpired: 50 },
  ...{ WriteConcernFailed: 64, UnknownReplWriteConcern: 79, NetworkTimeout: 89 },
  ...{ ShutdownInProgress: 91, UnsatisfiableWriteConcern: 100, FailedToSatisfyReadPreference: 133 },
  ...{ ReadConcernMajorityNotAvailableYet: 134, PrimarySteppedDown: 189 },
  ...{ NetworkInterfaceExceededTimeLimit: 202, ExceededTimeLimit: 262 },
  ...{ TransactionExceededLifetimeLimitSeconds: 290, ConnectionPoolExpired: 317 },
  ...{ TemporarilyUnavailable: 365, SocketException: 9001, NotWritablePrimary: 10107 },
  ...{ InterruptedAtShutdown: 11600, Interrupted: 11601, InterruptedDueToReplStateChange: 11602 },
  ...{ NotPrimaryNoSecondaryOk: 13435, NotPrimaryOrSecondary: 13436 },
};
/** Of these, those that name a write concern that was not met, and an interruption. */
const { UnknownReplWriteConcern, UnsatisfiableWriteConcern, Interrupted } = unproven;
const unconfirmed = { UnknownReplWriteConcern, UnsatisfiableWriteConcern, Interrupted };
const commitAnswers = [
  ...Object.entries(notCommitted).map(([name, errorCode]) => ({
    ...{ rule: `${name} as the answer to a commit lets the body run again` },
    ...{ data: { errorCode }, runs: 4 },
  })),
  ...Object.entries(unproven).map(([name, errorCode]) => ({
    ...{ rule: `${name} as the answer to a commit lets only the commit be repeated` },
    ...{ data: { errorCode }, runs: 1 },
  })),
  ...Object.entries(unconfirmed).map(([name, code]) => ({
    ...{ rule: `${name} after a commit was carried out lets only the commit be repeated` },
    ...{ data: { writeConcernError: { code, errmsg: 'not confirmed' } }, runs: 1 },
  })),
];
for (const { rule, data, runs } of commitAnswers) {
  serial(rule, async (t) => {
    const { client, db } = await (await testDatabase(t)).connect();
    await db.createCollection('things');
    // The driver repeats some commits once by itself.
    await failCommand(t, db.databaseName, { times: 3 }, { ...commits, ...data });
    let count = 0;
    await transact(client, { signal: AbortSignal.timeout(60_000) }, async (session) => {
      count++;
      await db.collection('things').insertOne({}, { session });
    });
    t.is(count, runs);
    t.is(await db.collection('things').countDocuments(), 1);
  });
}

serial('a commit that is interrupted again and again has an unknown outcome', async (t) => {
  const { client, db } = await (await testDatabase(t)).connect();
  await db.createCollection('things');
  const data = { ...commits, errorCode: Interrupted };
  await failCommand(t, db.databaseName, 'alwaysOn', data);
  const committed = transact(client, { signal: AbortSignal.timeout(60_000) }, (session) =>
    db.collection('things').insertOne({}, { session }),
  );
  await t.throwsAsync(committed, { instanceOf: CommitUnknown });
});

serial(
  'after a connection breaks in a statement the body runs again, with one effect',
  async (t) => {
    const { connection, eventLog } = await testEventLog(t);
    const { db } = connection;
    await db.createCollection('things');
    const insertFails = { failCommands: ['insert'], closeConnection: true };
    await failCommand(t, db.databaseName, { times: 3 }, insertFails);
    t.is((await insert(eventLog, { requestId: 'r1' })).response, 'made 1');
    t.is(await db.collection('things').countDocuments(), 1);
  },
);

const interruptions = { Interrupted: 11601, TransactionExceededLifetimeLimitSeconds: 290 };
for (const [name, errorCode] of Object.entries(interruptions)) {
  serial(`a transaction that ends in a statement with ${name} runs again`, async (t) => {
    const { connection, eventLog } = await testEventLog(t);
    const { db } = connection;
    await db.createCollection('things');
    const data = { failCommands: ['insert'], errorCode };
    await failCommand(t, db.databaseName, { times: 3 }, data);
    t.is((await insert(eventLog, { requestId: 'r1' })).response, 'made 1');
    t.is(await db.collection('things').countDocuments(), 1);
  });
}

for (const [name, errorCode] of Object.entries({ ...interruptions, CursorNotFound: 43 })) {
  serial(`a read that ends with ${name} is unavailable`, async (t) => {
    const { connection } = await testEventLog(t);
    const { db } = connection;
    await failCommand(t, db.databaseName, 'alwaysOn', { failCommands: ['find'], errorCode });
    const { reason } = await refusal(t, readLinearizable(db.collection('log'), {}));
    t.is(reason, ErrorReason.ERROR_REASON_DEPENDENCY_UNAVAILABLE);
  });
}

serial('sequencing whose answer is lost sequences no event twice', async (t) => {
  const { connection, eventLog, another } = await testEventLog(t);
  const { db } = connection;
  await db.createCollection('things');
  const deciding = await another({ sequencesOwn: false });
  for (let turn = 0; turn < 3; turn++) await insert(deciding);
  await failCommand(t, db.databaseName, { times: 3 }, networkError);
  t.is((await eventLog.head(AbortSignal.timeout(60_000))).sequence, 3);
  const { events } = await eventLog.read({ afterSequence: 0, limit: 10 });
  t.deepEqual(
    events.map(({ sequence }) => sequence),
    [1, 2, 3],
  );
});

serial('a read that the primary cannot confirm is reported as unavailable', async (t) => {
  const { connection } = await testEventLog(t);
  const { db } = connection;
  await failCommand(t, db.databaseName, 'alwaysOn', { failCommands: ['find'], errorCode: 10107 });
  const refused = await t.throwsAsync(readLinearizable(db.collection('log'), {}));
  t.is((refused as SiloError).reason, errors.dependencyUnavailable('mongodb').reason);
});

serial(
  'a primary that cannot reach a majority answers neither a linearizable read nor a query as of now',
  async (t) => {
    const { connection } = await testEventLog(t);
    const { db } = connection;
    const writeConcernError = { code: 64, errmsg: 'waiting for replication timed out' };
    const data = { failCommands: ['update'], writeConcernError };
    await failCommand(t, db.databaseName, 'alwaysOn', data);
    const { reason } = errors.dependencyUnavailable('mongodb');
    const things = db.collection<{ _id: number }>('things');
    t.is((await refusal(t, readLinearizable(things, { _id: 1 }))).reason, reason);
    const signal = AbortSignal.timeout(60_000);
    const query = findAsOfNow(things, {}, { projection: {}, signal });
    t.is((await refusal(t, query.next())).reason, reason);
  },
);

serial(
  'a read whose caller disconnects ends for the caller, and keeps its connection',
  async (t) => {
    const { connection } = await testEventLog(t);
    const { client, db } = connection;
    await readLinearizable(db.collection('log'), {});
    await failCommand(t, db.databaseName, 'alwaysOn', {
      ...{ failCommands: ['find'], blockConnection: true, blockTimeMS: 300 },
    });
    let closed = 0;
    client.on('connectionClosed', () => closed++);
    const signal = AbortSignal.timeout(50);
    const gone = await t.throwsAsync(readLinearizable(db.collection('log'), {}, { signal }));
    await readLinearizable(db.collection('log'), {});
    t.is(closed, 0);
    t.is(gone?.name, 'TimeoutError');
  },
);

serial('a read whose caller disconnects before its turn is not sent', async (t) => {
  const { connection } = await testEventLog(t);
  const { db } = connection;
  await readLinearizable(db.collection('log'), {});
  await db.command({ profile: 2 });
  const block = { failCommands: ['update'], blockConnection: true, blockTimeMS: 1_000 };
  await failCommand(t, db.databaseName, { times: 1 }, block);
  const gone = AbortSignal.timeout(50);
  const abandoned = readLinearizable(db.collection('log'), {}, { signal: gone });
  await t.throwsAsync(abandoned, { name: 'TimeoutError' });
  // Its write waits for the blocked one.
  await readLinearizable(db.collection('log'), {});
  const finds = { op: 'query', ns: `${db.databaseName}.log` };
  t.is(await db.collection('system.profile').countDocuments(finds), 1);
});

test('a missing server is reported as unavailable within the deadline', async (t) => {
  const connecting = connectMongo({
    url: 'mongodb://127.0.0.1:1/?replicaSet=silo',
    database: 'none',
    appName: 'test',
    signal: AbortSignal.timeout(20_000),
  });
  const refused = await t.throwsAsync(connecting, { instanceOf: SiloError });
  t.is(refused.reason, ErrorReason.ERROR_REASON_DEPENDENCY_UNAVAILABLE);
});

serial(
  'lost connections during many transactions, including bulk writes, only repeat them',
  async (t) => {
    const { connection, eventLog } = await testEventLog(t);
    const { db } = connection;
    await db.createCollection('things');
    const insertTwo = () =>
      eventLog.decide(mutation(), async (tx) => {
        await tx.db.collection('things').insertMany([{}, {}], { session: tx.session });
      });
    const many = () => Promise.all(Array.from({ length: 30 }, insertTwo));
    await many();
    // The first lost connection clears the pool; errors of the others then have no label.
    const data = { failCommands: ['insert'], closeConnection: true };
    await failCommand(t, db.databaseName, { times: 20 }, data);
    await many();
    t.is(await db.collection('things').countDocuments(), 120);
  },
);

/** A permit with this much time left at each check. */
function permitOf(t: ExecutionContext, leftMs: (look: number) => number) {
  const looks = { count: 0 };
  const permit: Permit = {
    remainingMs: () => leftMs(++looks.count),
    release: () => t.fail('released'),
  };
  return { looks, authorization: new Authorization(permit) };
}

// A permit is checked when a transaction begins, before its commit is sent, and before the commit
// is repeated.
serial('a commit that did not arrive is not sent again once a permit is lost', async (t) => {
  const { connection, eventLog } = await testEventLog(t);
  const { db } = connection;
  await db.createCollection('things');
  await failCommand(t, db.databaseName, 'alwaysOn', { ...commits, errorCode: 50 });
  const { looks, authorization } = permitOf(t, (look) => (look <= 2 ? 30_000 : 0));
  const { reason } = await refusal(t, insert(eventLog, { authorization }));
  t.is(reason, ErrorReason.ERROR_REASON_DEPENDENCY_UNAVAILABLE);
  t.is(looks.count, 3);
  t.is(await db.collection('things').countDocuments(), 0);
});

serial('the server executes no commit that would end after a permit', async (t) => {
  const { connection, eventLog } = await testEventLog(t);
  const { db } = connection;
  await db.createCollection('things');
  const delay = { ...commits, blockConnection: true, blockTimeMS: 2_500 };
  await failCommand(t, db.databaseName, 'alwaysOn', delay);
  const endMs = performance.now() + 2_000;
  const { authorization } = permitOf(t, () => Math.max(0, endMs - performance.now()));
  const { reason } = await refusal(t, insert(eventLog, { authorization }));
  t.is(reason, ErrorReason.ERROR_REASON_DEPENDENCY_UNAVAILABLE);
  t.is(await db.collection('things').countDocuments(), 0);
});

for (const [when, leftMs] of Object.entries({
  'less than twice the commit’s time is left': 1_999,
  'no time is left': 0,
})) {
  serial(`no commit is sent if ${when} of a permit`, async (t) => {
    const { connection, eventLog } = await testEventLog(t);
    const { db } = connection;
    await db.createCollection('things');
    const { looks, authorization } = permitOf(t, (look) => (look === 1 ? 4_000 : leftMs));
    const { reason } = await refusal(t, insert(eventLog, { authorization }));
    t.is(reason, ErrorReason.ERROR_REASON_DEPENDENCY_UNAVAILABLE);
    t.is(looks.count, 2);
    t.is(await db.collection('things').countDocuments(), 0);
  });
}

serial('a transaction whose commit stayed unknown is ended, and locks nothing', async (t) => {
  const { connection, eventLog } = await testEventLog(t);
  const { db } = connection;
  const things = db.collection<{ _id: number }>('things');
  await db.createCollection('things');
  const delay = { ...commits, blockConnection: true, blockTimeMS: 8_000 };
  await failCommand(t, db.databaseName, 'alwaysOn', delay);
  const isFreeAfterUnknown = async (_id: number) => {
    const { authorization } = permitOf(t, (look) => (look <= 2 ? 600 : 0));
    const unknown = eventLog.decide(mutation({ authorization }), async ({ session }) => {
      await things.insertOne({ _id }, { session });
    });
    await refusal(t, unknown);
    try {
      // Less than the 10 s after which the server itself ends the transaction.
      await things.insertOne({ _id }, { maxTimeMS: 5_000 });
      return true;
    } catch (error) {
      if (error instanceof MongoServerError && error.codeName === 'MaxTimeMSExpired') return false;
      throw error;
    }
  };
  // A busy machine may be too slow to end it in time; a bug would show each time.
  let tries = 1;
  while (tries <= 5 && !(await isFreeAfterUnknown(tries))) tries++;
  t.true(tries <= 5, 'its writes stay locked');
});

test('nothing more is decided by permits that were released or left to expire', (t) => {
  for (const end of ['release', 'leaveToExpire'] as const) {
    const authorization = new Authorization({ remainingMs: () => 30_000, release: () => {} });
    t.is(authorization.remainingMs, 30_000);
    authorization[end]();
    t.is(authorization.remainingMs, 0);
    t.throws(() => authorization.requireHeld(1), { instanceOf: SiloError });
  }
  t.is(new Authorization().remainingMs, Number.POSITIVE_INFINITY);
});

serial('permits whose commit stayed unknown are left to expire, not released', async (t) => {
  const { connection, eventLog } = await testEventLog(t);
  const { db } = connection;
  await db.createCollection('things');
  await failCommand(t, db.databaseName, 'alwaysOn', unknownOutcome);
  const { state, authorization } = testPermit();
  await refusal(t, insert(eventLog, { authorization }));
  authorization.release();
  t.false(state.isReleased, 'nothing else releases them either');
});

serial('permits whose commit is found by its request id are released', async (t) => {
  const { connection, eventLog } = await testEventLog(t);
  const { db } = connection;
  await db.createCollection('things');
  await failCommand(t, db.databaseName, { times: 16 }, unknownOutcome);
  const { state, authorization } = testPermit();
  const found = await insert(eventLog, { authorization, requestId: 'r1' });
  t.true(found.repeated);
  t.true(state.isReleased);
});

serial('an event log can be closed while the server still waits for a new head', async (t) => {
  const { connection, eventLog } = await testEventLog(t);
  const { client, db } = connection;
  const data = { failCommands: ['getMore'], blockConnection: true, blockTimeMS: 5_000 };
  await failCommand(t, db.databaseName, 'alwaysOn', data);
  const waiting = [{ $currentOp: {} }, { $match: { 'command.getMore': { $exists: true } } }];
  const isWaiting = async () => {
    const found = await client
      .db('admin')
      .aggregate(waiting, { readConcern: { level: 'local' } })
      .toArray();
    return found.some(({ appName }) => appName === db.databaseName);
  };
  const stopping = new AbortController();
  const waited = eventLog.wait(0, 60_000, stopping.signal).catch(() => {});
  t.teardown(async () => {
    stopping.abort();
    await waited;
  });
  while (!(await isWaiting())) t.pass();
  await eventLog[Symbol.asyncDispose]();
  t.true(await isWaiting());
});
