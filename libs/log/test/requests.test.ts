import { randomUUID } from 'node:crypto';
import { Authorization } from '@silo/access/authorization.ts';
import { errors } from '@silo/errors/errors.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import type { Mutation } from '@silo/mongo/mutation.ts';
import type { RepeatTerms } from '@silo/mongo/requests.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { systemClock } from '@silo/runtime/clock.ts';
import test, { type ExecutionContext } from 'ava';
import type { Document } from 'mongodb';
import { type Codec, type EventLog, RepeatedRequest } from '../event-log.ts';
import { mutation, testEventLog } from './support.ts';

const scopeRequired = ErrorReason.ERROR_REASON_SCOPE_REQUIRED;

const text: Codec<string> = {
  encode: (response) => ({ finish: () => Buffer.from(response, 'utf8') }),
  decode: (bytes) => Buffer.from(bytes).toString('utf8'),
};

/** Increments a counter with an event, and returns it, so that a repeated effect would show. */
async function count(eventLog: EventLog, each: Mutation, sealed = false) {
  return await eventLog.mutate(each, text, async (tx) => {
    const after = await tx.db
      .collection<{ _id: string; count: number }>('counters')
      .findOneAndUpdate(
        { _id: each.actor },
        { $inc: { count: 1 } },
        { session: tx.session, upsert: true, returnDocument: 'after' },
      );
    tx.emit({ event: 'updated', subject: 'prj_1', body: { count: after?.count } });
    return { response: `secret-answer-${after?.count}`, sealed };
  });
}

async function eventCount(eventLog: EventLog): Promise<number> {
  return (await eventLog.head(AbortSignal.timeout(600_000))).sequence;
}

function isReason(t: ExecutionContext, error: unknown, reason: ErrorReason) {
  t.true(error instanceof SiloError, String(error));
  t.is((error as SiloError).reason, reason);
}

test('the same request sent twice is executed once and gets the same answer and events', async (t) => {
  const { eventLog, another } = await testEventLog(t);
  const first = await count(eventLog, mutation({ requestId: 'r1' }));
  t.false(first.repeated);
  const again = await count(await another(), mutation({ requestId: 'r1' }));
  t.deepEqual({ ...again }, { ...first, repeated: true });
  t.is(await eventCount(eventLog), 1);
  t.is((await count(eventLog, mutation({ requestId: 'r2' }))).response, 'secret-answer-2');
});

test('the same request sent 20 times at once is executed once', async (t) => {
  const { connection, eventLog, another } = await testEventLog(t);
  await connection.db.createCollection('counters');
  const logs = [eventLog, await another()];
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      count(logs[index % 2] ?? eventLog, mutation({ requestId: 'r1' })),
    ),
  );
  t.deepEqual([...new Set(answers.map(({ response }) => response))], ['secret-answer-1']);
  t.is(answers.filter(({ repeated }) => !repeated).length, 1);
  t.is(await eventCount(eventLog), 1);
});

test('a request id with another body is refused and changes nothing', async (t) => {
  const { eventLog } = await testEventLog(t);
  await count(eventLog, mutation({ requestId: 'r1', body: 'a' }));
  const reused = await t.throwsAsync(count(eventLog, mutation({ requestId: 'r1', body: 'b' })));
  isReason(t, reused, ErrorReason.ERROR_REASON_REQUEST_ID_REUSED);
  t.is(await eventCount(eventLog), 1);
});

test('a refusal is not recorded: the same request succeeds after its reason has ended', async (t) => {
  const { eventLog } = await testEventLog(t);
  const each = mutation({ requestId: 'r1' });
  const refused = eventLog.mutate(each, text, async () => {
    throw errors.lastOwner();
  });
  isReason(t, await t.throwsAsync(refused), ErrorReason.ERROR_REASON_LAST_OWNER);
  t.is(await eventLog.findRequest(each.request?.key ?? Buffer.alloc(0)), undefined);
  t.is((await count(eventLog, each)).response, 'secret-answer-1');
});

test('a repeat that would be refused because the first call succeeded gets the first answer', async (t) => {
  const { eventLog } = await testEventLog(t);
  const once = (each: Mutation) =>
    eventLog.mutate(each, text, async (tx) => {
      const things = tx.db.collection<{ _id: string }>('things');
      if (await things.findOne({ _id: 'x' }, { session: tx.session })) throw errors.emailTaken();
      await things.insertOne({ _id: 'x' }, { session: tx.session });
      return { response: 'made' };
    });
  t.is((await once(mutation({ requestId: 'r1' }))).response, 'made');
  t.like(await once(mutation({ requestId: 'r1' })), { response: 'made', repeated: true });
  const other = await t.throwsAsync(once(mutation({ requestId: 'r2' })));
  isReason(t, other, ErrorReason.ERROR_REASON_EMAIL_TAKEN);
});

test('the same request id of another account is another request', async (t) => {
  const { eventLog } = await testEventLog(t);
  t.false((await count(eventLog, mutation({ requestId: 'r1', account: 'acc_1' }))).repeated);
  const theirs = await count(eventLog, mutation({ requestId: 'r1', account: 'acc_2', body: 'b' }));
  t.like(theirs, { repeated: false, response: 'secret-answer-1' });
});

test('a sealed answer opens only with its request id, and a dump contains neither', async (t) => {
  const { connection, eventLog } = await testEventLog(t);
  const requestId = randomUUID();
  const first = await count(eventLog, mutation({ requestId }), true);
  const again = await count(eventLog, mutation({ requestId }), true);
  t.deepEqual({ ...again }, { ...first, repeated: true });
  await eventCount(eventLog);

  const dump: Document[] = [];
  for (const { name } of await connection.db.listCollections().toArray()) {
    dump.push(...(await connection.db.collection(name).find().toArray()));
  }
  const bytes = Buffer.concat(dump.map((document) => rawBytes(document)));
  t.true(bytes.length > 100);
  for (const secret of ['secret-answer', requestId, requestId.replaceAll('-', '')]) {
    t.false(bytes.includes(secret), secret);
    t.false(
      bytes.includes(Buffer.from(secret.replaceAll('-', ''), 'hex').toString('latin1') || '\0\0\0'),
    );
  }
});

test('the record demands of a repeat what was demanded of the call, and what the decision demanded in addition', async (t) => {
  const { eventLog } = await testEventLog(t);
  const demanded = { scope: 'key:write', organizationId: 'org_us_1' };
  const within = { scopes: ['*'], organizationIds: [], projectIds: [], expireTime: new Date(0) };
  const recorded = async (requestId: string, terms: RepeatTerms) => {
    const authorization = new Authorization();
    authorization.addDemand(demanded);
    const each = mutation({ requestId, authorization });
    await eventLog.mutate(each, text, async () => ({ response: 'x', ...terms }));
    return (await eventLog.findRequest(each.request?.key ?? Buffer.alloc(0)))?.reauthorize;
  };
  t.deepEqual(await recorded('r1', {}), [demanded]);
  const alsoDemands = [{ within }];
  t.deepEqual(await recorded('r2', { alsoDemands }), [demanded, ...alsoDemands]);
  const reauthorize = [{ organizationId: 'org_us_1', level: 2 as const, evenGone: true }];
  t.deepEqual(await recorded('r3', { reauthorize }), reauthorize);
});

test('a call that finds its request decided by another call is checked like every repeat', async (t) => {
  const { eventLog } = await testEventLog(t);
  const decided = mutation({ requestId: 'r1' });
  await eventLog.mutate(decided, text, async () => ({ response: 'secret' }));
  const checkRepeat = async () => {
    throw errors.scopeRequired('key:write');
  };
  const weaker = { ...mutation({ requestId: 'r1' }), checkRepeat };
  const mutated = eventLog.mutate(weaker, text, async () => ({ response: 'again' }));
  t.is((await t.throwsAsync(mutated, { instanceOf: SiloError })).reason, scopeRequired);
  const begun = eventLog.decide(weaker, async (tx) => tx.remember({ sagaId: 's' }));
  t.is((await t.throwsAsync(begun, { instanceOf: SiloError })).reason, scopeRequired);
});

test('a saga is started once per request, and a repeat gets its id', async (t) => {
  const { eventLog } = await testEventLog(t);
  const begin = (each: Mutation, sagaId: string) =>
    eventLog.decide(each, async (tx) => {
      tx.emit({ event: 'created', subject: 'prj_1', body: {} });
      tx.remember({ sagaId, sealed: Buffer.from('sealed') });
      return sagaId;
    });
  t.is((await begin(mutation({ requestId: 'r1' }), 'saga_1')).value, 'saga_1');
  const repeated = await t.throwsAsync(begin(mutation({ requestId: 'r1' }), 'saga_2'), {
    instanceOf: RepeatedRequest,
  });
  t.is(repeated.record.sagaId, 'saga_1');
  t.is(Buffer.from(repeated.record.sealed ?? []).toString(), 'sealed');
  const reused = await t.throwsAsync(begin(mutation({ requestId: 'r1', body: 'b' }), 'saga_3'));
  isReason(t, reused, ErrorReason.ERROR_REASON_REQUEST_ID_REUSED);
  t.is(await eventCount(eventLog), 1);
});

function rawBytes(value: unknown): Buffer {
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (typeof value === 'string') return Buffer.from(value);
  if (value === null || typeof value !== 'object') return Buffer.from(String(value));
  return Buffer.concat(Object.values(value).map((each) => rawBytes(each)));
}

for (const [where, aheadMs] of Object.entries({ ahead: 50 * 3_600_000, behind: -50 * 3_600_000 })) {
  test(`the record of a request is kept for 24 hours by a process whose clock is ${where}`, async (t) => {
    const { connection, another } = await testEventLog(t);
    const now = () => new Date(Date.now() + aheadMs);
    const skewed = await another({ clock: { ...systemClock, now } });
    await count(skewed, mutation({ requestId: 'r1' }));
    const [record] = await connection.db.collection('requests').find().toArray();
    t.true(record?.expireTime.getTime() > Date.now() + 24 * 3_600_000);
  });
}
