import { parseArgs } from 'node:util';
import { SeededRandom } from '../../simulation/random.ts';
import type { FaultRegions } from './fault-regions.ts';
import { damage, type Fault, faultsWith } from './faults.ts';
import { type MomentName, momentNames } from './moments.ts';
import { type Phase, phases, type Run } from './run-migration.ts';

export const usage = `npm run migrations -- [--runs N] [--seed S] [--events E] [--sets] [--browser]
                       [--fault TEXT] [--at MOMENT|MS] [--until MOMENT|MS] [--phase PHASE]
                       [--without-permits | --without-comparison]
  --runs N              migrations (200); half of them break at a step, half at a random time
  --seed S              of the first run (random); the same seed breaks the same
  --events E            of each project (1500)
  --sets                each MongoDB is a replica set of three
  --browser             posthog-js sends, too
  --fault TEXT          what breaks, by the beginning of its name
  --at, --until         from when and how long: ${momentNames.join(', ')}, or milliseconds
  --phase PHASE         ${phases.join(', ')}
  --without-permits     a control run: captures hold no cutover up
  --without-comparison  a control run: copies are not compared`;

export type Options = {
  runs: number;
  seed: number;
  events: number;
  sets: boolean;
  browser: boolean;
  fault: string | undefined;
  at: MomentName | number | undefined;
  until: MomentName | number | undefined;
  phase: Phase | undefined;
  /** The main file of a control run, in test/faults. */
  without: string | undefined;
};

/** A copy of this number of events takes less than this. */
const startMsMax = 3_000;
const purgeMsMax = 500;
const brokenMsMax = 2_000;
/** Longer than the 8 s after which a source ends an attempt, and than every lease. */
const longBrokenMs = 9_500;

/** Undefined if they are not valid options. */
export function parseOptions(args: string[]): Options | undefined {
  try {
    const { values } = parseArgs({
      args,
      options: {
        runs: { type: 'string', default: '200' },
        seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
        events: { type: 'string', default: '1500' },
        sets: { type: 'boolean', default: false },
        browser: { type: 'boolean', default: false },
        fault: { type: 'string' },
        at: { type: 'string' },
        until: { type: 'string' },
        phase: { type: 'string' },
        'without-permits': { type: 'boolean', default: false },
        'without-comparison': { type: 'boolean', default: false },
      },
    });
    const { sets, browser, fault } = values;
    const [runs = 0, seed = -1, events = 0] = [values.runs, values.seed, values.events].map(Number);
    if (![runs, seed, events].every(Number.isSafeInteger)) return undefined;
    if (runs < 1 || seed < 0 || events < 1) return undefined;
    const [at, until] = [values.at, values.until].map(momentOf);
    const phase = phases.find((each) => each === values.phase);
    if (values.phase !== undefined && phase === undefined) return undefined;
    const without = values['without-permits']
      ? 'service-with-unheld-permits.ts'
      : values['without-comparison']
        ? 'service-without-comparison.ts'
        : undefined;
    return { runs, seed, events, sets, browser, fault, at, until, phase, without };
  } catch {
    return undefined;
  }
}

function momentOf(text: string | undefined): MomentName | number | undefined {
  if (text === undefined) return undefined;
  const name = momentNames.find((each) => each === text);
  if (name !== undefined) return name;
  const ms = Number(text);
  if (!Number.isSafeInteger(ms) || ms < 0) throw new RangeError(`${text} is no time`);
  return ms;
}

/**
 * What fails, when, and the direction of the migration: by the seed, unless the options say
 * otherwise.
 */
export function planOf(
  { us, eu }: FaultRegions,
  { events, sets, ...chosen }: Options,
  seed: number,
): { run: Run; what: string } {
  const random = new SeededRandom(seed);
  const [from, to] = random.chance(0.5) ? [us, eu] : [eu, us];
  const phase = chosen.phase ?? random.pick(['migration', 'migration', 'rollback', 'purge']);
  const faults = faultsWith({ sets }).filter(({ times }) => !times || phase !== 'purge');
  const fault = pick(random, faults, chosen.fault);
  const atMs = random.below(phase === 'purge' ? purgeMsMax : startMsMax);
  const moment = random.pick(momentNames);
  const isAtMoment = random.chance(0.5) && phase !== 'purge';
  const brokenMs = random.chance(0.15) ? longBrokenMs : random.below(brokenMsMax);
  const { at = chosen.at ?? (isAtMoment ? moment : atMs), until = chosen.until ?? brokenMs } =
    fault.times ?? {};
  const what = `${phase} from ${from.region}, ${fault.what}, ${textOf(at, 'at')} ${textOf(until, 'until')}`;
  return { run: { from, to, phase, events, fault, at, until }, what };
}

function pick(random: SeededRandom, faults: readonly Fault[], beginning?: string): Fault {
  if (beginning === undefined) return random.pick(faults);
  // Damage of the copy must be named, because only a control run misses it.
  return random.pick([...faults, damage].filter(({ what }) => what.startsWith(beginning)));
}

function textOf(time: MomentName | number, at: 'at' | 'until'): string {
  if (typeof time === 'string') return `${at} '${time}'`;
  return at === 'at' ? `after ${time} ms` : `for ${time} ms`;
}
