import test from 'ava';
import { startForked } from '../../../test/harness/forked.ts';
import type { SagaDefinition } from '../definition.ts';
import type { Options } from './skewed-process.ts';
import { type Data, listing, openService, type State } from './support.ts';

const hourMs = 3_600_000;
/** Longer than the test takes, shorter than the error of the clock. */
const timing = { leaseMs: 600_000, renewMs: 500 };

for (const skewMs of [-hourMs, hourMs]) {
  test(`a process whose clock is wrong by ${skewMs} ms acquires no live saga, and its own lease lasts no longer than it should`, async (t) => {
    const service = await openService(t);
    const sagas = service.db.collection<{ _id: string }>('sagas');
    const reached = Promise.withResolvers<void>();
    const mayEnd = Promise.withResolvers<void>();
    const definition = listing(new Set());
    const slow: SagaDefinition<State, Data> = {
      ...definition,
      steps: {
        ...definition.steps,
        DECIDED: async () => {
          reached.resolve();
          await mayEnd.promise;
          return { next: 'FIRST' };
        },
      },
    };
    await service.start(definition, timing).begin('left');
    await service.passTime(timing.leaseMs);
    const owner = service.start(slow, timing);
    await owner.begin('live');
    const live = owner.sagas.finish(slow, 'live', service.signal);
    await reached.promise;
    const options: Options = { skewMs, database: service.database, timing };
    const skewed = await startForked<number>(
      new URL('skewed-process.ts', import.meta.url),
      options,
    );
    await using _ = skewed;
    t.true(Math.abs(skewed.ready - skewMs - Date.now()) < hourMs / 2, 'its clock is wrong');
    const [lease] = await sagas
      .aggregate([
        { $match: { _id: 'skewed' } },
        { $project: { ms: { $subtract: ['$ownerUntil', '$$NOW'] } } },
      ])
      .toArray();
    t.true(lease?.ms > 0 && lease?.ms <= timing.leaseMs, `its lease has ${lease?.ms} ms`);
    await skewed.request('recover');
    t.like(await sagas.findOne({ _id: 'live' }), { state: 'DECIDED', fence: 1 });
    mayEnd.resolve();
    t.is((await live).fence, 1);
  });
}
