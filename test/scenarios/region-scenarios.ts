import anyTest, { type SerialFn, type TestFn } from 'ava';
import { startTestRegions, type TestRegions } from '../harness/regions.ts';
import { invariantsHold } from '../invariants.ts';

export type RegionsContext = { regions: TestRegions };

/** Ava's test, with two regions for the whole file; in both the invariants must hold at the end. */
export function regionScenarios(): SerialFn<RegionsContext> {
  const test = (anyTest as TestFn<RegionsContext>).serial;
  test.before(async (t) => {
    t.context = { regions: await startTestRegions() };
  });
  test.after('the invariants hold in both regions', async (t) => {
    const { us, eu } = t.context.regions;
    await invariantsHold(t, us);
    await invariantsHold(t, eu);
  });
  test.after.always((t) => t.context.regions?.[Symbol.asyncDispose]());
  return test;
}
