/**
 * `npm run bench`: measures each promise against the bare operations that it costs, in one run on
 * one machine, and prints a table of ratios. Options: `--only NAME` (may be repeated; `abuse`
 * stands for all rows whose names begin with `abuse-`), `--list`,
 * `--against REV` (the commit whose build is the floor of `idle`, `memory`, `start` and
 * `verify-traced-off`, which are left out without it),
 * `--events N` (how many events `query-host` and `query-growth` query and `migration-*` copy: fewer
 * for a quick run, more for a long one),
 * `--cutovers N` (how many of them `migration-hold` and `migration-rollback` measure),
 * `--warm-up N` (by how many rounds of calls the services warm up: fewer only to try a row),
 * `--json FILE` (writes the rows), `--strict` (a missed goal ends with exit code 1).
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Bench } from './bench-servers.ts';
import { goalText, isReached, type Result, type Row, resultOf } from './row.ts';
import { rows } from './rows.ts';
import { headline, line } from './table.ts';

const eventsMin = 10_000;

const { values: options } = parseArgs({
  options: {
    against: { type: 'string' },
    events: { type: 'string' },
    cutovers: { type: 'string' },
    'warm-up': { type: 'string' },
    only: { type: 'string', multiple: true, default: [] },
    list: { type: 'boolean', default: false },
    json: { type: 'string' },
    strict: { type: 'boolean', default: false },
  },
});

const chosen = choose(options.only);
if (options.list) {
  for (const { name, goal, about } of chosen) console.log(`${name} (${goalText(goal)}): ${about}`);
} else {
  const { results, crashed, missed } = await run(chosen);
  if (options.json) await writeFile(options.json, `${JSON.stringify(results, undefined, 2)}\n`);
  process.exitCode = crashed > 0 || (options.strict && missed > 0) ? 1 : 0;
}

function choose(names: readonly string[]): readonly Row[] {
  const unknown = names.filter((name) => rowsOf(name).length === 0);
  if (unknown.length > 0) {
    console.error(`no such row: ${unknown.join(', ')}; --list names them`);
    process.exit(2);
  }
  const meant = names.length === 0 ? rows : names.flatMap(rowsOf);
  const isRunnable = (row: Row) => !row.needsAgainst || options.list || options.against;
  const unrunnable = meant.find((row) => !isRunnable(row));
  if (names.length > 0 && unrunnable) {
    console.error(`${unrunnable.name} compares with the build of a commit: name it by --against`);
    process.exit(2);
  }
  return rows.filter((row) => meant.includes(row) && isRunnable(row));
}

/** The row with this name; if there is none, the rows whose names begin with it. */
function rowsOf(name: string): readonly Row[] {
  const exact = rows.filter((row) => row.name === name);
  return exact.length > 0 ? exact : rows.filter((row) => row.name.startsWith(`${name}-`));
}

async function run(
  rows: readonly Row[],
): Promise<{ results: Result[]; crashed: number; missed: number }> {
  const directory = await mkdtemp(join(tmpdir(), 'silo-bench-'));
  const results: Result[] = [];
  let crashed = 0;
  let missed = 0;
  try {
    await using bench = new Bench(directory, {
      against: options.against,
      events: numberOf('events', eventsMin),
      cutovers: numberOf('cutovers', 1),
      warmUpRounds: numberOf('warm-up', 1),
    });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => void giveUp(bench, directory));
    }
    console.log(headline());
    for (const row of rows) {
      try {
        const measured = await row.run(bench);
        const result = resultOf(row, measured);
        const reached = isReached(row.goal, result);
        results.push(result);
        if (!reached) missed++;
        console.log(line(row, result, reached, measured.remark));
      } catch (error) {
        crashed++;
        console.error(`${row.name} crashed:`, error);
      }
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  return { results, crashed, missed };
}

function numberOf(option: 'events' | 'cutovers' | 'warm-up', min: number): number | undefined {
  const text = options[option];
  if (text === undefined) return undefined;
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= min) return number;
  throw new RangeError(`--${option} takes a number of at least ${min}`);
}

/** Stops everything and removes all files. */
async function giveUp(bench: Bench, directory: string): Promise<void> {
  await bench[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
  process.exit(130);
}
