import { constants, setPriority } from 'node:os';
import { protectionNames, protectionRules } from '@silo/guard/core/protections.ts';
import test from 'ava';
import { runInWorkers } from './in-workers.ts';
import { runSchedule } from './schedule.ts';

// What is judged by its time runs beside this.
setPriority(constants.priority.PRIORITY_LOW);

const workers = 2;
const schedules = 20_000;
/** Each control run finds its violation long before that many. */
const controlSchedulesMax = 40_000;

test.serial(
  'no schedule accepts what was taken away, and life comes back after faults',
  async (t) => {
    t.timeout(300_000);
    const firstSeed = Math.floor(Math.random() * 2 ** 40);
    const work = { firstSeed, schedules, off: undefined, isControl: false };
    const result = await runInWorkers(work, workers);
    t.log(`seed ${firstSeed}, ${result.returned} revokes, ${result.verified} verifications`);
    t.deepEqual(result.violations, []);
    t.is(result.schedules, schedules);
    t.true(result.returned > schedules, 'revokes return');
    t.true(result.fromMemory > result.verified / 4, 'guards answer from memory');
  },
);

for (const off of protectionNames) {
  test.serial(
    `without a protection the simulation finds a violation: ${protectionRules[off]}`,
    async (t) => {
      t.timeout(300_000);
      const work = { firstSeed: 1, schedules: controlSchedulesMax, off, isControl: true };
      const { violations } = await runInWorkers(work, workers);
      const safety = violations.find(({ kind }) => kind === 'safety');
      t.truthy(safety, 'nothing was found');
      t.log(`${off}: ${safety?.seed} schedules`);
    },
  );
}

test('a schedule is the same each time that its seed is run', (t) => {
  const tell = () => {
    const lines: string[] = [];
    runSchedule(42, undefined, (line) => lines.push(line));
    return lines;
  };
  t.deepEqual(tell(), tell());
});
