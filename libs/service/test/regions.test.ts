import { errors } from '@silo/errors/errors.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import test from 'ava';
import { askRegion, type RegionClient } from '../regions.ts';

const regions = new Map([['eu', {} as RegionClient]]);

/** The error for the caller of this region if the other region answers with this error. */
async function passedOn(error: Error): Promise<SiloError | undefined> {
  try {
    await askRegion(regions, 'eu', () => Promise.reject(error));
  } catch (passed) {
    if (passed instanceof SiloError) return passed;
    throw passed;
  }
  return undefined;
}

test('a refusal of another region is passed on', async (t) => {
  const refusal = errors.migrationNotFound('mig_us_1');
  t.is(await passedOn(refusal), refusal);
});

for (const how of ['deadline', 'cancelled'] as const) {
  test(`a region whose call ends by ${how} does not answer: the caller of this region has another deadline`, async (t) => {
    t.is((await passedOn(errors.callEnded(how)))?.reasonName, 'DEPENDENCY_UNAVAILABLE');
  });
}
