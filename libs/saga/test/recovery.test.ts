import { SiloError } from '@silo/errors/silo-error.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import test from 'ava';
import type { LeftSaga } from '../saga-records.ts';
import { listing, openService } from './support.ts';

type Saga = LeftSaga & { ownerUntil: Date; open: boolean; fence: number };

test('sagas whose peer is slow do not delay the recovery of others', async (t) => {
  const service = await openService(t);
  const done = Promise.withResolvers<void>();
  const peer = Promise.withResolvers<void>();
  const definition = listing(new Set(), (point) => point === 'after c' && done.resolve());
  const isStuck = Promise.withResolvers<void>();
  const slow = {
    ...definition,
    steps: {
      ...definition.steps,
      DECIDED: async () => {
        isStuck.resolve();
        await peer.promise;
        return { next: 'FIRST' as const };
      },
    },
  };
  const dead = service.start(slow);
  // More than are recovered at once.
  for (let index = 0; index < 70; index++) await dead.begin(`stuck_${index}`);
  await service.passTime(60_000);
  const stop = new AbortController();
  const resuming = service.start(slow).sagas.resume(stop.signal);
  await isStuck.promise;
  await dead.begin('other');
  const sagas = service.db.collection<Saga>('sagas');
  const left = { state: 'FIRST', ownerUntil: new Date(0) };
  await sagas.updateOne({ _id: 'other' }, { $set: left });
  await done.promise;
  t.is((await sagas.findOne({ _id: 'stuck_0' }))?.state, 'DECIDED');
  stop.abort();
  peer.resolve();
  await resuming;
});

test('sagas that only a newer release knows are left to it, logged once, and counted', async (t) => {
  const service = await openService(t);
  const recovered = Promise.withResolvers<void>();
  const definition = listing(new Set(), (point) => point === 'after c' && recovered.resolve());
  const dead = service.start(definition);
  for (const id of ['newer_kind', 'newer_state', 'known']) await dead.begin(id);
  const sagas = service.db.collection<Saga>('sagas');
  await sagas.updateOne({ _id: 'newer_kind' }, { $set: { kind: 'migrate' } });
  await sagas.updateOne({ _id: 'newer_state' }, { $set: { state: 'THIRD' } });
  const unknown = { _id: { $in: ['newer_kind', 'newer_state'] } };
  await service.passTime(60_000);
  const before = await sagas.find(unknown).toArray();
  const timing = { leaseMs: 1_500, renewMs: 500, recoverMs: 1 };
  const stop = new AbortController();
  const { sagas: runner } = service.start(definition, timing);
  const resuming = runner.resume(stop.signal);
  await recovered.promise;
  t.is(runner.unknown, 2);
  // Counted again, without a further line.
  await sagas.deleteOne({ _id: 'newer_kind' });
  while (runner.unknown !== 1) await sagas.findOne();
  t.deepEqual(await sagas.find({ _id: 'newer_state' }).toArray(), before.slice(1));
  const reported = service.logged.map(({ kind, state, count }) => ({ kind, state, count }));
  t.deepEqual(
    reported.sort((a, b) => (String(a.kind) < String(b.kind) ? -1 : 1)),
    [
      { kind: 'listing', state: 'THIRD', count: 1 },
      { kind: 'migrate', state: 'DECIDED', count: 1 },
    ],
  );
  stop.abort();
  await resuming;
});

for (const open of [true, false]) {
  test(`a retry of a saga that only a newer release knows gets a retryable error (open: ${open})`, async (t) => {
    const service = await openService(t);
    const definition = listing(new Set());
    await service.start(definition).begin('saga_1');
    const sagas = service.db.collection<Saga>('sagas');
    await sagas.updateOne({ _id: 'saga_1' }, { $set: { state: 'THIRD', open } });
    await service.passTime(60_000);
    const { sagas: runner } = service.start(definition);
    const finishing = runner.finish(definition, 'saga_1', service.signal);
    const refused = await t.throwsAsync(finishing, { instanceOf: SiloError });
    t.is(refused?.reason, ErrorReason.ERROR_REASON_REQUEST_IN_PROGRESS);
    t.is((await sagas.findOne({ _id: 'saga_1' }))?.fence, 1);
  });
}

test('a saga that the end of its process interrupts is resumed at once', async (t) => {
  const service = await openService(t);
  const timing = { leaseMs: 600_000, renewMs: 500 }; // no lease expires
  const reached = Promise.withResolvers<void>();
  const definition = listing(new Set());
  const interrupted = {
    ...definition,
    steps: {
      ...definition.steps,
      FIRST: async (_: unknown, { signal }: { signal: AbortSignal }) => {
        reached.resolve();
        await new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        });
        return { next: 'SECOND' as const };
      },
    },
  };
  const first = service.start(interrupted, timing);
  await first.begin('saga_1');
  const finishing = first.sagas.finish(interrupted, 'saga_1', service.signal);
  await reached.promise;
  first.kill();
  await first.sagas.resume(AbortSignal.abort());
  await t.throwsAsync(finishing);
  const other = service.start(definition, timing);
  const done = await other.sagas.finish(definition, 'saga_1', service.signal);
  t.deepEqual(done.data.effects, ['a', 'b', 'c']);
  t.is(done.failures, 0);
  t.deepEqual(service.logged, []);
});
