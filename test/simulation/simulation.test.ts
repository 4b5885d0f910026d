import { constants, setPriority } from 'node:os';
import { protectionNames, protectionRules } from '@silo/guard/core/protections.ts';
import test from 'ava';
import { runInWorkers } from './in-workers.ts';
import { runSchedule } from './schedule.ts';

// Low priority, because tests that measure time run at the same time.
setPriority(constants.priority.PRIORITY_LOW);

const workers = 2;
/** The number of schedules depends on the machine: a slow one runs fewer, but at least a tenth. */
const schedulesMax = 20_000;
const budget = { timeMs: 60_000, schedulesMin: 2_000 };
/** Each control run finds its violation in far fewer schedules. */
const controlSchedulesMax = 40_000;
/** Ends a run that hangs; no machine is this slow. */
const hangsMs = 60 * 60_000;

test.serial('no schedule accepts removed access, and guards recover after faults', async (t) => {
  t.timeout(hangsMs);
  const firstSeed = Math.floor(Math.random() * 2 ** 40);
  const work = { firstSeed, schedules: schedulesMax, off: undefined, isControl: false };
  const result = await runInWorkers(work, { workers, budget });
  const { schedules, violations, returned, verified, fromMemory } = result;
  t.log(
    `seed ${firstSeed}: ${schedules} schedules, ${returned} revokes, ${verified} verifications`,
  );
  t.deepEqual(violations, []);
  t.true(schedules >= budget.schedulesMin, `${schedules} schedules`);
  t.true(returned > schedules, 'revokes return');
  t.true(fromMemory > verified / 4, 'guards answer from memory');
});

test('a run whose budget is used has run its minimum number of schedules, and few more', async (t) => {
  const work = { firstSeed: 1, schedules: schedulesMax, off: undefined, isControl: false };
  const { schedules } = await runInWorkers(work, {
    workers,
    budget: { timeMs: 0, schedulesMin: 150 },
  });
  t.is(schedules, 200);
});

for (const off of protectionNames) {
  test.serial(
    `without a protection the simulation finds a violation: ${protectionRules[off]}`,
    async (t) => {
      t.timeout(hangsMs);
      const work = { firstSeed: 1, schedules: controlSchedulesMax, off, isControl: true };
      const { schedules, violations } = await runInWorkers(work, { workers });
      const safety = violations.find(({ kind }) => kind === 'safety');
      t.truthy(safety, 'nothing was found');
      t.log(`${off}: found by seed ${safety?.seed}, of ${schedules} schedules`);
    },
  );
}

test('a schedule is the same each time that its seed is run', (t) => {
  const run = () => {
    const lines: string[] = [];
    runSchedule(42, undefined, (line) => lines.push(line));
    return lines;
  };
  t.deepEqual(run(), run());
});
