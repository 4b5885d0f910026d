import { errors } from '@silo/errors/errors.ts';
import test from 'ava';
import type { CopySource } from '../migration/copy-types.ts';
import { goOn } from '../migration/interruptions.ts';
import { RegionFailed } from '../migration/region-failed.ts';
import { captured } from './event-support.ts';
import { copyWorld, eventsOf, old, signal } from './migration-copy-support.ts';

/** The error with which repeated work ends if it always fails with the given one. */
async function endOf(failure: Error) {
  let failures = 0;
  const fail = async () => {
    failures++;
    throw failure;
  };
  const error = await goOn(fail, {
    ...{ signal: new AbortController().signal, progress: () => 0 },
    ...{ onInterrupted: () => {}, sleep: async () => {} },
  }).catch((reason: unknown) => reason);
  return { error, failures };
}

test('a persistent failure of this region’s database is not reported as one of the other region', async (t) => {
  const own = errors.dependencyUnavailable('mongodb');
  const { error, failures } = await endOf(own);
  t.is(error, own);
  t.true(failures > 1);
});

test('a region that does not answer is called again, and a region that refuses is not', async (t) => {
  const silent = await endOf(new RegionFailed(errors.dependencyUnavailable('the region us')));
  t.true(silent.failures > 1);
  t.like(silent.error, { name: 'RegionFailed', message: 'did not answer' });
  const refusal = new RegionFailed(errors.migrationNotFound('mig_us_1'));
  t.like(await endOf(refusal), { failures: 1, error: refusal });
  t.is(refusal.message, 'refused with MIGRATION_NOT_FOUND');
});

test('a copy recognizes a failure of its source’s region', async (t) => {
  const world = await copyWorld(t);
  const refused = errors.migrationNotFound(world.migrationId);
  const peer = {
    ...world.peer,
    pullEvents: async function* () {
      yield* [];
      throw refused;
    },
  };
  const { running } = await world.start({ peer });
  t.like(await running, { name: 'RegionFailed', cause: refused });
});

test('applied changes do not prolong a comparison that keeps failing', async (t) => {
  const world = await copyWorld(t);
  await world.capture(old(3));
  let failures = 0;
  let [held, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const peer: CopySource = {
    ...world.peer,
    async *pullEvents(request, options) {
      for await (const answer of world.peer.pullEvents(request, options)) {
        if (answer.step?.$case === 'changes' && answer.step.value.uuids.length > 0) {
          held.resolve();
          await released.promise;
        }
        yield answer;
      }
    },
    async *readRange() {
      yield* [];
      failures++;
      throw errors.dependencyUnavailable('the region us');
    },
  };
  // A change is applied during each comparison.
  const sleep = async () => {
    if (failures > 100) throw new Error('it does not end');
    [held, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    await world.capture([captured({})]);
    await held.promise;
    released.resolve();
  };
  const { copy, running } = await world.start({ peer, sleep });
  await copy.verifyAll(signal());
  await eventsOf(world.destination).deleteOne({});
  copy.verifyAgain(signal()).catch(() => {}); // as `running` does
  t.like(await running, { name: 'RegionFailed', message: 'did not answer' });
});
