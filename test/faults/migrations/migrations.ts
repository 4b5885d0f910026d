/**
 * `npm run migrations`: projects migrate between two regions, and are rolled back or purged, while
 * faults occur at each step and at random times by a seed, and SDKs keep sending. Exits with 1 if
 * an event is lost or stored twice, a copy differs, or both regions accept events at the same time.
 */
import { join } from 'node:path';
import { obtainBinaries } from '../../harness/servers.ts';
import { settledViolations } from '../../invariants.ts';
import { type FaultRegions, makeRegionsWhole, startFaultRegions } from './fault-regions.ts';
import { type Options, parseOptions, planOf, usage } from './options.ts';
import { faultsOf, type Outcome } from './outcome.ts';
import { pageSender } from './page-sender.ts';
import { type Run, runMigration } from './run-migration.ts';

/** The invariants take longer to check than a migration. */
const checkEvery = 20;

process.exitCode = await main();

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) {
    console.error(usage);
    return 2;
  }
  Object.assign(process.env, await obtainBinaries((line) => console.log(`# ${line}`)));
  const main = options.without && join(import.meta.dirname, '..', options.without);
  await using regions = await startFaultRegions({
    ...{ sets: options.sets },
    ...(main && { main: { us: main, eu: main } }),
  });
  const openSender = options.browser ? await pageSenderIfAny() : undefined;
  const outcomes: Outcome[] = [];
  let wrong = 0;
  for (let index = 0; index < options.runs; index++) {
    wrong += await runOne(regions, options, { index, openSender, outcomes });
  }
  const failures = [...regions.us.failures, ...regions.eu.failures];
  for (const { message } of failures) console.log(`  ${message}`);
  console.log(summaryOf(outcomes, wrong + failures.length));
  return wrong + failures.length > 0 ? 1 : 0;
}

/** Undefined, with a message, if no Chromium runs. */
async function pageSenderIfAny(): Promise<Run['openSender']> {
  try {
    return await pageSender();
  } catch (error) {
    console.log(`# posthog-js is left out: ${error}`);
    return undefined;
  }
}

type Turn = { index: number; outcomes: Outcome[] } & Pick<Run, 'openSender'>;

/** Returns the number of faults found. */
async function runOne(
  regions: FaultRegions,
  options: Options,
  { index, openSender, outcomes }: Turn,
): Promise<number> {
  const seed = options.seed + index;
  const { run, what } = planOf(regions, options, seed);
  const number = `${index + 1}, --seed ${seed}`;
  const found: string[] = [];
  try {
    const outcome = await runMigration({ ...run, openSender });
    outcomes.push(outcome);
    const { holdsMs, attempts, sent, givenUp } = outcome;
    console.log(`${number}: ${what}: held ${holdsMs} ms, ${attempts} cutovers, ${sent} sent`);
    for (const each of givenUp) console.log(`  given up by the SDK: ${each}`);
    found.push(...faultsOf(outcome));
  } catch (error) {
    console.log(`${number}: ${what}`);
    found.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  await makeRegionsWhole(regions);
  const isChecked = index % checkEvery === checkEvery - 1 || index === options.runs - 1;
  if (isChecked) found.push(...(await violations(regions)));
  for (const each of found) console.log(`  WRONG: ${each}`);
  return found.length;
}

async function violations({ us, eu }: FaultRegions): Promise<string[]> {
  const found = [...(await settledViolations(us)), ...(await settledViolations(eu))];
  return found.map((each) => JSON.stringify(each));
}

function summaryOf(outcomes: readonly Outcome[], wrong: number): string {
  const holds = outcomes.flatMap(({ holdsMs }) => holdsMs).toSorted((a, b) => a - b);
  const count = (what: 'sent' | 'attempts') =>
    outcomes.reduce((sum, outcome) => sum + outcome[what], 0);
  const sizes = (['lost', 'doubled', 'refused', 'givenUp'] as const).map(
    (what) => `${outcomes.reduce((sum, outcome) => sum + outcome[what].length, 0)} ${what}`,
  );
  return (
    `${outcomes.length} runs, ${holds.length} handovers in ${count('attempts')} attempts, ` +
    `held ${holds[holds.length >> 1]} ms by median, ${holds.at(-1)} at most; ` +
    `${count('sent')} events sent, ${sizes.join(', ')}; ${wrong} faults found`
  );
}
