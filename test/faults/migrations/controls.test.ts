/** What the fault runs of migrations find if a protection is switched off. */
import { join } from 'node:path';
import test from 'ava';
import { type FaultRegions, startFaultRegions } from './fault-regions.ts';
import { captureHangs, damage } from './faults.ts';
import type { Outcome } from './outcome.ts';
import { type Run, runMigration } from './run-migration.ts';

const main = (name: string) => join(import.meta.dirname, '..', name);
const events = 100;

let regions: FaultRegions;
test.before(async () => {
  regions = await startFaultRegions({
    main: {
      us: main('service-with-unheld-permits.ts'),
      eu: main('service-without-comparison.ts'),
    },
  });
});
test.after.always(() => regions?.[Symbol.asyncDispose]());

/**
 * A busy machine may begin a copy or a capture again, which repairs the damage; then the run is
 * repeated.
 */
async function untilDifferent(run: Run): Promise<Outcome> {
  for (let tries = 1; ; tries++) {
    const outcome = await runMigration(run);
    if (outcome.different.length > 0 || tries === 5) return outcome;
  }
}

test.serial('without permits, an event that a cutover loses is detected', async (t) => {
  const { us: from, eu: to } = regions;
  const hanging = { fault: captureHangs(), at: 0, until: 'activated' } as const;
  const { lost, different } = await untilDifferent({ from, to, events, ...hanging });
  t.log(lost, different);
  t.true(lost.length > 0);
  t.true(different.length > 0);
});

test.serial('without the comparison of copies, a damaged copy is detected', async (t) => {
  const { us: from, eu: to } = regions;
  const damaged = { fault: damage, at: 'copying', until: 0 } as const;
  const { lost, different } = await untilDifferent({ from, to, events, ...damaged });
  t.deepEqual([lost.length, different.length], [0, 1]);
});
