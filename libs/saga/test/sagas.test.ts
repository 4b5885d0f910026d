import { status } from '@grpc/grpc-js';
import { errors } from '@silo/errors/errors.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { race } from '@silo/runtime/deadline.ts';
import test from 'ava';
import { eventually } from '../../../test/harness/eventually.ts';
import { checkDefinition, type SagaDefinition } from '../definition.ts';
import { type Data, listing, openService, type State } from './support.ts';

test('a saga runs its steps in order, and returns its final record', async (t) => {
  const service = await openService(t);
  const world = new Set<string>();
  const definition = listing(world);
  const { sagas, begin } = service.start(definition);
  await begin('saga_1');
  const done = await sagas.finish(definition, 'saga_1', service.signal);
  t.is(done.state, 'DONE');
  t.deepEqual(done.data.effects, ['a', 'b', 'c']);
  const again = await sagas.finish(definition, 'saga_1', service.signal);
  t.deepEqual(again.data.effects, ['a', 'b', 'c'], 'a repeat reads the record');
});

for (const point of ['before a', 'after a', 'before b', 'after b', 'before c', 'after c']) {
  test(`a saga of a process that dies ${point} is finished by another process`, async (t) => {
    const service = await openService(t);
    const world = new Set<string>();
    const killed = Promise.withResolvers<void>();
    const dying = service.start(
      listing(world, (reached) => {
        if (reached !== point) return;
        dying.kill();
        killed.resolve();
        throw new Error('killed');
      }),
    );
    await dying.begin('saga_1');
    const definition = listing(world);
    await t.throwsAsync(dying.sagas.finish(definition, 'saga_1', service.signal));
    await killed.promise;
    await service.passTime(60_000);
    const other = service.start(definition);
    const done = await other.sagas.finish(definition, 'saga_1', service.signal);
    t.deepEqual(done.data.effects, ['a', 'b', 'c']);
    t.deepEqual([...world], ['a', 'b', 'c']);
  });
}

test('sagas that a dead process left are resumed without a request', async (t) => {
  const service = await openService(t);
  const finished = Promise.withResolvers<void>();
  const definition = listing(new Set(), (point) => point === 'after c' && finished.resolve());
  await service.start(definition).begin('saga_1');
  await service.passTime(60_000);
  const stop = new AbortController();
  const resuming = service.start(definition).sagas.resume(stop.signal);
  await finished.promise;
  stop.abort();
  await resuming;
  t.pass();
});

for (const records of ['writes', 'transactions'] as const) {
  test(`an owner that lost its lease records nothing by ${records}, and returns what was done`, async (t) => {
    const service = await openService(t);
    const paused = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    const slow: SagaDefinition<State, Data> = {
      ...listing(new Set()),
      steps: {
        ...listing(new Set()).steps,
        DECIDED: async () => {
          reached.resolve();
          await paused.promise;
          const data = { effects: ['late'] };
          const commit = records === 'transactions' && { commit: async () => {} };
          return { next: 'FIRST', data, ...commit };
        },
      },
    };
    const former = service.start(slow, { leaseMs: 1_500, renewMs: 60_000 }); // renews too rarely
    await former.begin('saga_1');
    const late = former.sagas.finish(slow, 'saga_1', service.signal);
    await reached.promise;
    await service.passTime(60_000);
    const definition = listing(new Set());
    const done = await service.start(definition).sagas.finish(definition, 'saga_1', service.signal);
    paused.resolve();
    t.deepEqual(done.data.effects, ['a', 'b', 'c']);
    t.deepEqual(await late, done);
  });
}

test('a step may take longer than the lease: the owner renews it, and no other process acquires the saga', async (t) => {
  const service = await openService(t);
  const timing = { leaseMs: 60_000, renewMs: 20 };
  const mayEnd = Promise.withResolvers<void>();
  const definition: SagaDefinition<State, Data> = {
    ...listing(new Set()),
    steps: {
      ...listing(new Set()).steps,
      DECIDED: async () => {
        await mayEnd.promise;
        return { next: 'FIRST' };
      },
    },
  };
  const owner = service.start(definition, timing);
  await owner.begin('saga_1');
  const done = owner.sagas.finish(definition, 'saga_1', service.signal);
  const other = service.start(listing(new Set()), timing);
  const joined = other.sagas.finish(definition, 'saga_1', service.signal);
  // Two leases pass, in steps that the owner renews between: a pause of this machine ends none.
  const sagas = service.db.collection<{ _id: string; ownerUntil: Date }>('sagas');
  const ownerUntil = async () =>
    (await sagas.findOne({ _id: 'saga_1' }))?.ownerUntil ?? new Date(0);
  for (let passedMs = 0; passedMs < 2 * timing.leaseMs; passedMs += 40_000) {
    await service.passTime(40_000);
    const before = await ownerUntil();
    await eventually(async () => {
      const until = await ownerUntil();
      if (until <= before) throw new Error(`the lease still ends at ${until.toISOString()}`);
    });
  }
  mayEnd.resolve();
  t.is((await done).fence, 1);
  t.deepEqual((await joined).data, (await done).data);
});

test('a lease is renewed by one write at a time', async (t) => {
  const service = await openService(t);
  const mayEnd = Promise.withResolvers<void>();
  const definition: SagaDefinition<State, Data> = {
    ...listing(new Set()),
    steps: {
      ...listing(new Set()).steps,
      DECIDED: async () => {
        await mayEnd.promise;
        return { next: 'FIRST' };
      },
    },
  };
  const owner = service.start(definition, { leaseMs: 60_000, renewMs: 10 });
  await owner.begin('saga_1');
  const sagas = service.db.collection<{ _id: string; held: boolean }>('sagas');
  // Renewals wait for the writes of another transaction.
  const session = service.client.startSession();
  session.startTransaction();
  await sagas.updateOne({ _id: 'saga_1' }, { $set: { held: true } }, { session });
  const done = owner.sagas.finish(definition, 'saga_1', service.signal);
  const renewals = { appName: service.database, op: 'update', ns: `${service.database}.sagas` };
  const waiting = await eventually(async () => {
    const stages = [{ $currentOp: {} }, { $match: renewals }];
    const local = { readConcern: { level: 'local' } } as const;
    const found = await service.client.db('admin').aggregate(stages, local).toArray();
    // Long enough that many renewals would have been due.
    if (!found.some((each) => each.microsecs_running > 500_000)) throw new Error('none waits');
    return found;
  });
  await session.abortTransaction();
  await session.endSession();
  t.is(waiting.length, 1);
  mayEnd.resolve();
  t.is((await done).state, 'DONE');
});

test('a repeat waits for a dead owner no longer than its lease', async (t) => {
  const service = await openService(t);
  const definition = listing(new Set());
  const sagas = service.db.collection<{ _id: string; fence: number }>('sagas');
  const leaseMsOf = async (id: string) => {
    const left = { $project: { ms: { $subtract: ['$ownerUntil', '$$NOW'] } } };
    const [lease] = await sagas.aggregate([{ $match: { _id: id } }, left]).toArray();
    return Number(lease?.ms);
  };
  await service.start(definition).begin('usual');
  t.true((await leaseMsOf('usual')) <= 1_500);

  // So long that only the time that this test lets pass ends it.
  const timing = { leaseMs: 600_000, renewMs: 500 };
  await service.start(definition, timing).begin('saga_1');
  const other = service.start(definition, timing);
  const repeated = other.sagas.finish(definition, 'saga_1', service.signal);
  await service.passTime(timing.leaseMs / 2);
  t.like(await sagas.findOne({ _id: 'saga_1' }), { state: 'DECIDED', fence: 1 });
  await service.passTime(timing.leaseMs / 2);
  t.is((await repeated).fence, 2);
});

test('a saga of another process that no call awaits any more is left to recovery', async (t) => {
  const service = await openService(t);
  const definition = listing(new Set());
  const timing = { leaseMs: 600_000, renewMs: 500 };
  await service.start(definition, timing).begin('saga_1');
  const { sagas } = service.start(definition);
  const leaving = new AbortController();
  const waiting = [1, 2].map(() => sagas.finish(definition, 'saga_1', leaving.signal));
  leaving.abort();
  for (const each of waiting) {
    const refused = await t.throwsAsync(each, { instanceOf: SiloError });
    t.is(refused?.reason, ErrorReason.ERROR_REASON_REQUEST_IN_PROGRESS);
  }
  await service.passTime(timing.leaseMs);
  // Returns when no saga runs.
  await sagas.resume(AbortSignal.abort());
  const stored = await service.db.collection<{ _id: string }>('sagas').findOne({ _id: 'saga_1' });
  t.like(stored, { state: 'DECIDED', fence: 1 });
});

test('a call that ends does not end the wait of another', async (t) => {
  const service = await openService(t);
  const definition = listing(new Set());
  const timing = { leaseMs: 600_000, renewMs: 500 };
  await service.start(definition, timing).begin('saga_1');
  const { sagas } = service.start(definition);
  const leaving = new AbortController();
  const left = sagas.finish(definition, 'saga_1', leaving.signal);
  const waiting = sagas.finish(definition, 'saga_1', service.signal);
  leaving.abort();
  await t.throwsAsync(left, { instanceOf: SiloError });
  await service.passTime(timing.leaseMs);
  t.like(await waiting, { state: 'DONE', fence: 2 });
});

test('only one open saga has a lock; the next may begin after it has ended', async (t) => {
  const service = await openService(t);
  const definition = listing(new Set());
  const { sagas, begin } = service.start(definition);
  await begin('saga_1', 'plan:org_1');
  await begin('saga_other', 'plan:org_2');
  const refused = await t.throwsAsync(begin('saga_2', 'plan:org_1'), { instanceOf: SiloError });
  t.is(refused?.reason, ErrorReason.ERROR_REASON_REQUEST_IN_PROGRESS);
  await sagas.finish(definition, 'saga_1', service.signal);
  await t.notThrowsAsync(begin('saga_2', 'plan:org_1'));
});

test('the next saga with a lock begins even if its transaction began before the end of the last', async (t) => {
  const service = await openService(t);
  const definition = listing(new Set());
  const { sagas, begin } = service.start(definition);
  await begin('saga_1', 'plan:org_1');
  let attempts = 0;
  await begin('saga_2', 'plan:org_1', [], async (session) => {
    attempts++;
    await service.db.collection('sagas').findOne({}, { session });
    await sagas.finish(definition, 'saga_1', service.signal);
  });
  t.true(attempts > 1);
  const { state } = await sagas.finish(definition, 'saga_2', service.signal);
  t.is(state, 'DONE');
});

test('a request for a running saga joins it', async (t) => {
  const service = await openService(t);
  let runs = 0;
  const definition = listing(new Set(), (point) => {
    if (point === 'before a') runs++;
  });
  const { sagas, begin } = service.start(definition);
  await begin('saga_1');
  const all = await Promise.all(
    Array.from({ length: 10 }, () => sagas.finish(definition, 'saga_1', service.signal)),
  );
  t.is(runs, 1);
  t.true(all.every(({ state }) => state === 'DONE'));
});

test('a caller whose deadline passes gets REQUEST_IN_PROGRESS, and the saga continues', async (t) => {
  const service = await openService(t);
  const hurry = new AbortController();
  const definition = listing(new Set(), (point) => point === 'before b' && hurry.abort());
  const { sagas, begin } = service.start(definition);
  await begin('saga_1');
  const refused = await t.throwsAsync(sagas.finish(definition, 'saga_1', hurry.signal));
  t.is((refused as SiloError).reason, ErrorReason.ERROR_REASON_REQUEST_IN_PROGRESS);
  const done = await sagas.finish(definition, 'saga_1', service.signal);
  t.is(done.state, 'DONE');
});

test('a step is retried after a dependency did not answer', async (t) => {
  const service = await openService(t);
  let failures = 2;
  const definition = listing(new Set(), (point) => {
    if (point === 'before b' && failures-- > 0) throw errors.dependencyUnavailable('token');
  });
  const { sagas, begin } = service.start(definition);
  await begin('saga_1');
  const done = await sagas.finish(definition, 'saga_1', service.signal);
  t.deepEqual(done.data.effects, ['a', 'b', 'c']);
});

test('a step that exceeds its own deadline is retried', async (t) => {
  const service = await openService(t);
  let attempts = 0;
  const definition: SagaDefinition<State, Data> = {
    ...listing(new Set()),
    steps: {
      ...listing(new Set()).steps,
      DECIDED: async (_saga, { signal }) => {
        if (++attempts < 3) await race(new Promise<never>(() => {}), signal);
        return { next: 'FIRST' };
      },
    },
  };
  const timing = { leaseMs: 1_500, renewMs: 500, stepDeadlineMs: 50 };
  const { sagas, begin } = service.start(definition, timing);
  await begin('saga_1');
  t.is((await sagas.finish(definition, 'saga_1', service.signal)).state, 'DONE');
  t.is(attempts, 3);
});

test('the deadline of a step does not reach the caller as the deadline of its call', async (t) => {
  const service = await openService(t);
  const definition: SagaDefinition<State, Data> = {
    ...listing(new Set()),
    steps: {
      ...listing(new Set()).steps,
      DECIDED: (_saga, { signal }) => race(new Promise<never>(() => {}), signal),
    },
  };
  const timing = { leaseMs: 1_500, renewMs: 500, stepDeadlineMs: 50 };
  const { sagas, begin } = service.start(definition, timing);
  await begin('saga_1');
  const error = await t.throwsAsync(sagas.finish(definition, 'saga_1', service.signal));
  t.like(error, { code: status.UNAVAILABLE, reasonName: 'DEPENDENCY_UNAVAILABLE' });
});

test('the writes of a step and its transition are committed together', async (t) => {
  const service = await openService(t);
  const definition: SagaDefinition<State, Data> = {
    ...listing(new Set()),
    steps: {
      ...listing(new Set()).steps,
      SECOND: async () => ({
        next: 'DONE',
        commit: async (tx) => {
          await tx.db.collection('effects').insertOne({ at: 'SECOND' }, { session: tx.session });
        },
      }),
    },
  };
  const { sagas, begin } = service.start(definition);
  await service.db.createCollection('effects');
  await begin('saga_1');
  await sagas.finish(definition, 'saga_1', service.signal);
  t.is(await service.db.collection('effects').countDocuments(), 1);
});

test('data that looks like an expression of MongoDB is stored unchanged', async (t) => {
  const service = await openService(t);
  const sagas = service.db.collection<{ _id: string; data: Data }>('sagas');
  const texts = ['$$ROOT', '$state', '$$NOW'];
  const definition: SagaDefinition<State, Data> = {
    ...listing(new Set()),
    steps: {
      ...listing(new Set()).steps,
      DECIDED: async ({ data }) => {
        t.deepEqual((await sagas.findOne({ _id: 'saga_1' }))?.data.effects, texts);
        return { next: 'FIRST', data: { effects: [...data.effects, '$data'] } };
      },
    },
  };
  const runner = service.start(definition);
  await runner.begin('saga_1', undefined, texts);
  await runner.sagas.finish(definition, 'saga_1', service.signal);
  // The last transition does not wait for a majority.
  const stored = await sagas.findOne({ _id: 'saga_1' }, { readConcern: { level: 'local' } });
  t.deepEqual(stored?.data.effects, [...texts, '$data', 'b', 'c']);
});

test('a transition that is not in the table is refused', async (t) => {
  const service = await openService(t);
  const definition: SagaDefinition<State, Data> = {
    ...listing(new Set()),
    steps: { ...listing(new Set()).steps, DECIDED: async () => ({ next: 'DONE' }) },
  };
  const { sagas, begin } = service.start(definition);
  await begin('saga_1');
  await t.throwsAsync(sagas.finish(definition, 'saga_1', service.signal), {
    message: /DECIDED may not become DONE/,
  });
});

test('a definition without a step for an open state is refused at once', (t) => {
  const definition = listing(new Set());
  const { SECOND, ...steps } = definition.steps;
  t.throws(() => checkDefinition({ ...definition, steps }), { message: /SECOND needs a step/ });
});
