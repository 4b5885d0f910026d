/**
 * `npm run simulate`: runs the real cores of guard and registry through simulated schedules, each
 * determined by a seed. Prints the seeds of violations and how to replay them; the last line is `N
 * schedules, V violations`, and the exit code is 1 if V > 0.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { type ProtectionName, protectionNames } from '@silo/guard/core/protections.ts';
import { runInWorkers } from './in-workers.ts';
import { runSchedule } from './schedule.ts';

const usage = `npm run simulate -- [--schedules N] [--seed S] [--without PROTECTION] [--trace]
  --schedules N          how many (1000000)
  --seed S               of the first schedule; the others follow (random)
  --without PROTECTION   a control run: switched off, and steered to what it is there for
  --trace                prints the events of the schedule of --seed
  --list-protections     the names, one a line`;

process.exitCode = await main();

async function main(): Promise<number> {
  const options = parse();
  if (options === undefined) {
    console.error(usage);
    return 2;
  }
  const { schedules, seed, off } = options;
  if (options.isListing) {
    console.log(protectionNames.join('\n'));
    return 0;
  }
  if (options.isTracing) {
    const { violation } = runSchedule(seed, off, (line) => console.log(line));
    console.log(`1 schedules, ${violation === undefined ? 0 : 1} violations`);
    return violation === undefined ? 0 : 1;
  }
  console.log(`seed ${seed}`);
  const startedMs = performance.now();
  const workers = Math.min(availableParallelism(), Math.ceil(schedules / 100));
  const work = { firstSeed: seed, schedules, off, isControl: off !== undefined };
  const onProgress = (done: number) => {
    if (done % 100_000 === 0) console.log(`${done} schedules so far`);
  };
  const result = await runInWorkers(work, { workers, onProgress });
  for (const violation of result.violations.slice(0, 10)) {
    console.log(`seed ${violation.seed}: ${violation.kind}: ${violation.what}`);
    const without = off === undefined ? '' : ` --without ${off}`;
    console.log(`  npm run simulate -- --seed ${violation.seed}${without} --trace`);
  }
  const seconds = (performance.now() - startedMs) / 1_000;
  console.log(`${result.returned} revokes returned; ${result.verified} verifications`);
  console.log(`${Math.round(result.schedules / seconds)} schedules per second`);
  console.log(`${result.schedules} schedules, ${result.violations.length} violations`);
  return result.violations.length > 0 ? 1 : 0;
}

function parse() {
  try {
    const { values } = parseArgs({
      options: {
        schedules: { type: 'string', default: '1000000' },
        seed: { type: 'string' },
        without: { type: 'string' },
        trace: { type: 'boolean', default: false },
        'list-protections': { type: 'boolean', default: false },
      },
    });
    const schedules = Number(values.schedules);
    const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 40));
    const off = protectionNames.find((name) => name === values.without);
    if (!Number.isSafeInteger(schedules) || schedules < 1) return undefined;
    if (!Number.isSafeInteger(seed) || seed < 0) return undefined;
    if (values.without !== undefined && off === undefined) return undefined;
    const isListing = values['list-protections'];
    return {
      schedules,
      seed,
      off: off as ProtectionName | undefined,
      isListing,
      isTracing: values.trace,
    };
  } catch {
    return undefined;
  }
}
