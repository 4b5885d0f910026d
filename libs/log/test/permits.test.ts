import { Authorization } from '@silo/access/authorization.ts';
import { errors } from '@silo/errors/errors.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import test, { type ExecutionContext } from 'ava';
import { type Codec, type EventLog, RepeatedRequest } from '../event-log.ts';
import { mutation, testEventLog, testPermit } from './support.ts';

const text: Codec<string> = {
  encode: (response) => ({ finish: () => Buffer.from(response, 'utf8') }),
  decode: (bytes) => Buffer.from(bytes).toString('utf8'),
};

/** Commits a change with an event; calls `inBody` in each run of the body. */
async function insert(
  eventLog: EventLog,
  options: Parameters<typeof mutation>[0],
  inBody: (run: number) => unknown = () => {},
) {
  let run = 0;
  const decided = mutation(options);
  return await eventLog.mutate(decided, text, async (tx) => {
    await tx.db.collection('things').insertOne({}, { session: tx.session });
    tx.emit({ event: 'updated', subject: 'prj_1', body: {} });
    await inBody(++run);
    return { response: 'made' };
  });
}

async function refusal(t: ExecutionContext, promise: Promise<unknown>): Promise<SiloError> {
  const error = await t.throwsAsync(promise, { instanceOf: SiloError });
  if (!(error instanceof SiloError)) throw new TypeError('not refused');
  return error;
}

test('a permit that is lost in the body leaves no state, no event and no record', async (t) => {
  const { connection, eventLog } = await testEventLog(t);
  const { state, authorization } = testPermit();
  const lost = insert(eventLog, { authorization, requestId: 'r1' }, () => {
    state.isHeld = false;
  });
  const { reason, details } = await refusal(t, lost);
  t.is(reason, ErrorReason.ERROR_REASON_DEPENDENCY_UNAVAILABLE);
  t.true((details.retryDelayMs ?? 0) > 0, 'RetryInfo');
  t.is(await connection.db.collection('things').countDocuments(), 0);
  t.is((await eventLog.head(AbortSignal.timeout(600_000))).sequence, 0);
  t.like(await insert(eventLog, { requestId: 'r1' }), { repeated: false });
});

test('if one of two permits is lost, nothing is decided', async (t) => {
  const { connection, eventLog } = await testEventLog(t);
  const permits = [testPermit(), testPermit()];
  const authorization = new Authorization(...permits.map(({ permit }) => permit));
  const lost = insert(eventLog, { authorization }, () => {
    for (const { state } of permits.slice(1)) state.isHeld = false;
  });
  await refusal(t, lost);
  t.is(await connection.db.collection('things').countDocuments(), 0);
});

test('if a permit is lost before the first statement, the body is not run', async (t) => {
  const { eventLog } = await testEventLog(t);
  const { state, authorization } = testPermit();
  state.isHeld = false;
  const runs: number[] = [];
  await refusal(
    t,
    insert(eventLog, { authorization }, (run) => runs.push(run)),
  );
  t.deepEqual(runs, []);
});

test('permits are released with the commit, before the event has its sequence', async (t) => {
  const { another } = await testEventLog(t);
  const deciding = await another({ sequencesOwn: false });
  const { state, authorization } = testPermit();
  await insert(deciding, { authorization }, () =>
    t.false(state.isReleased, 'held while the body runs'),
  );
  t.true(state.isReleased);
  const { head } = await deciding.read({ afterSequence: 0, limit: 1 });
  t.is(head.sequence, 0, 'it is not sequenced yet');
});

test('a body that conflicts runs again under the same permits', async (t) => {
  const { connection, eventLog } = await testEventLog(t);
  const things = connection.db.collection<{ _id: string; count: number }>('things');
  await things.insertOne({ _id: 'shared', count: 0 });
  const { permit, state, authorization } = testPermit();
  let runs = 0;
  await eventLog.decide(mutation({ authorization }), async ({ session }) => {
    runs++;
    t.true(permit.remainingMs() > 0);
    await things.findOne({ _id: 'shared' }, { session });
    if (runs < 3) await things.updateOne({ _id: 'shared' }, { $inc: { count: 1 } });
    await things.updateOne({ _id: 'shared' }, { $inc: { count: 10 } }, { session });
  });
  t.is(runs, 3);
  t.true(state.isReleased);
  t.is((await things.findOne({ _id: 'shared' }))?.count, 12);
});

test('a permit that is lost between two runs of a body ends them', async (t) => {
  const { connection, eventLog } = await testEventLog(t);
  const things = connection.db.collection<{ _id: string; count: number }>('things');
  await things.insertOne({ _id: 'shared', count: 0 });
  const { state, authorization } = testPermit();
  let runs = 0;
  const deciding = eventLog.decide(mutation({ authorization }), async ({ session }) => {
    runs++;
    await things.findOne({ _id: 'shared' }, { session });
    await things.updateOne({ _id: 'shared' }, { $inc: { count: 1 } });
    state.isHeld = false;
    await things.updateOne({ _id: 'shared' }, { $inc: { count: 10 } }, { session });
  });
  await refusal(t, deciding);
  t.is(runs, 1);
  t.is((await things.findOne({ _id: 'shared' }))?.count, 1);
});

test('a refusal in the body keeps the permits for another decision', async (t) => {
  const { eventLog } = await testEventLog(t);
  const { permit, state, authorization } = testPermit();
  const refused = insert(eventLog, { authorization }, () => Promise.reject(errors.lastOwner()));
  t.is((await refusal(t, refused)).reason, ErrorReason.ERROR_REASON_LAST_OWNER);
  t.true(permit.remainingMs() > 0);
  authorization.release();
  t.true(state.isReleased, 'the authorization still held it');
});

test('if the request turns out to be decided already, the permits are released', async (t) => {
  const { eventLog } = await testEventLog(t);
  await insert(eventLog, { requestId: 'r1' });
  const { state, authorization } = testPermit();
  const repeated = await insert(eventLog, { requestId: 'r1', authorization });
  t.true(repeated.repeated);
  t.true(state.isReleased);
  const joining = testPermit();
  const options = { requestId: 'r1', authorization: joining.authorization };
  const joined = eventLog.decide(mutation(options), () => Promise.reject(errors.lastOwner()));
  await t.throwsAsync(joined, { instanceOf: RepeatedRequest });
  t.true(joining.state.isReleased);
});

test('the outcome of a mutation is returned, and stored for repeats', async (t) => {
  const { eventLog } = await testEventLog(t);
  const decide = async (keepsAccess: boolean, requestId: string) => {
    const decided = mutation({ requestId });
    const outcome = await eventLog.mutate(decided, text, async (tx) => {
      tx.emit({ event: 'updated', subject: 'prj_1', body: {} });
      return { response: 'done', keepsAccess };
    });
    t.is(outcome.eventIds.length, 1);
    t.is(outcome.keepsAccess, keepsAccess);
    return outcome.eventIds;
  };
  for (const keepsAccess of [true, false]) {
    const requestId = `${keepsAccess}`;
    const eventIds = await decide(keepsAccess, requestId);
    const repeat = mutation({ requestId });
    const repeated = await eventLog.mutate(repeat, text, () => Promise.reject(errors.lastOwner()));
    t.like(repeated, { eventIds, keepsAccess });
    const record = await eventLog.findRequest(repeat.request?.key ?? new Uint8Array());
    t.like(record, { keepsAccess, eventIds });
  }
});
