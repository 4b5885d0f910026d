/**
 * `npm run faults`: guards and services in separate processes, revocations of every kind, and a
 * nemesis, in storms with a seed each. Half of them use a short lease, half that of production. The
 * last line is `N revocations, V violations`; the exit code is 1 if V > 0.
 */
import { parseArgs } from 'node:util';
import { obtainBinaries } from '../../harness/servers.ts';
import { startCluster } from './cluster.ts';
import { Fleet } from './fleet.ts';
import { aftermath, controls, leases, runStorm, summarize } from './suite.ts';

const usage = `npm run faults -- [--revocations N] [--seed S] [--lease MS] [--guards G] [--without PROTECTION]
  --revocations N        how many (10000; of a control run 100), in storms of at most 1000
  --seed S               of the first storm; the others follow (random)
  --lease MS             2000 or 5000; else half of the storms under each
  --guards G             guard processes (20)
  --without PROTECTION   a control run: switched off in every guard
                         (${Object.keys(controls).join(', ')})`;

const stormRevocationsMax = 1_000;
const everyAttempts = 25;
/** This many violations are reported, and all are counted. */
const reportedMax = 20;

process.exitCode = await main();

async function main(): Promise<number> {
  const options = parse();
  if (options === undefined) {
    console.error(usage);
    return 2;
  }
  const { revocations, guards, without, leaseMs } = options;
  const log = (line: string) => console.log(`# ${line}`);
  Object.assign(process.env, await obtainBinaries(log));
  let seed = options.seed;
  console.log(`seed ${seed}`);
  const chosen = leases.filter((lease) => leaseMs === undefined || lease.leaseMs === leaseMs);
  let done = 0;
  let violations = 0;
  for (const [index, lease] of chosen.entries()) {
    const until = Math.round((revocations * (index + 1)) / chosen.length);
    await using cluster = await startCluster(lease);
    await using fleet = await Fleet.start(cluster, { count: guards, without });
    while (done < until) {
      const size = Math.min(stormRevocationsMax, until - done);
      const steered = without === undefined ? undefined : controls[without];
      const storm = { seed, revocations: size, lease, everyAttempts, ...steered, log };
      const outcome = await runStorm(cluster, fleet, storm);
      const wrong = [...outcome.report.violations, ...(await aftermath(cluster, fleet))];
      console.log(`seed ${seed}, lease ${lease.leaseMs} ms:`);
      for (const line of [...summarize(outcome), ...wrong.slice(0, reportedMax)])
        console.log(`  ${line}`);
      violations += wrong.length + outcome.report.violationsUnreported;
      done += [...outcome.returned.values()].reduce((sum, count) => sum + count, 0);
      seed++;
    }
  }
  console.log(`${done} revocations, ${violations} violations`);
  return violations > 0 ? 1 : 0;
}

function parse() {
  try {
    const { values } = parseArgs({
      options: {
        revocations: { type: 'string' },
        seed: { type: 'string' },
        lease: { type: 'string' },
        guards: { type: 'string', default: '20' },
        without: { type: 'string' },
      },
    });
    const { without } = values;
    const revocations = Number(values.revocations ?? (without === undefined ? 10_000 : 100));
    const guards = Number(values.guards);
    const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
    const leaseMs = values.lease === undefined ? undefined : Number(values.lease);
    const isWhole = [revocations, guards, seed].every((each) => Number.isSafeInteger(each));
    if (!isWhole || revocations < 1 || guards < 1 || seed < 0) return undefined;
    if (leaseMs !== undefined && !leases.some((lease) => lease.leaseMs === leaseMs)) {
      return undefined;
    }
    if (without !== undefined && !(without in controls)) return undefined;
    return { revocations, guards, seed, leaseMs, without };
  } catch {
    return undefined;
  }
}
