/**
 * `npm run timing`: whether the response time of an error distinguishes a hidden thing from one
 * that does not exist. Calls every request that names a thing, hidden and absent in random order,
 * one call at a time over one connection. Exits with 1 if the times of any request differ.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { status } from '@grpc/grpc-js';
import type { Endpoints } from '@silo/embedded/endpoints.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import { median } from '../../bench/measure.ts';
import { openRegions } from '../../demo/regional/open-regions.ts';
import { type Clients, connectClients, type SignedUp } from '../../harness/clients.ts';
import { type HiddenThing, hideMigration, hideThings } from '../../harness/id-requests.ts';
import { generousLimitVariables } from '../../harness/limits.ts';
import { quickestPlace } from '../../harness/quickest-place.ts';
import { SeededRandom } from '../../simulation/random.ts';
import { differenceAllowed, probabilitySlower, type Samples } from './compare.ts';

const usage = `npm run timing -- [--calls N] [--seed S] [--only NAME]... [--without-decoy]
  --calls N         of each request, half of them about a hidden thing (4000)
  --seed S          of the order of the calls (random)
  --only NAME       requests whose name contains this; may be repeated
  --without-decoy   a control run, which must find a difference`;

/**
 * Share of additional calls at the beginning that are not measured, because code is compiled and
 * connections are made; fewer if there are many.
 */
const warmUpShare = 0.1;
const warmUpCallsMax = 200;

process.exitCode = await main();

async function main(): Promise<number> {
  const options = parse();
  if (options === undefined) {
    console.error(usage);
    return 2;
  }
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());
  const { calls, seed, only, withoutDecoy } = options;
  const { signal } = stop;
  await using started = new AsyncDisposableStack();
  const regions = started.use(
    await openRegions({
      ...{ signal, log: () => {}, parentDirectory: await quickestPlace() },
      settings: settingsOf(withoutDecoy),
    }),
  );
  const connected = ({ ca, staff, services }: Endpoints) =>
    started.adopt(connectClients(services, { ca, ...staff }), (it) => it.close());
  const [us, eu] = [connected(regions.us), connected(regions.eu)];
  const random = new SeededRandom(seed);
  console.log(`seed ${seed}, ${calls} calls of each request`);
  console.log(line('median hidden', 'median absent', 'P(hidden slower)', ''));
  const compared: boolean[] = [];
  for await (const { requests, hidden, absent, stranger, use } of trials({ us, eu })) {
    for (const [name, request] of Object.entries(requests)) {
      if (only.length > 0 && !only.some((part) => name.includes(part))) continue;
      await use?.();
      const call = async (id: string) => {
        signal.throwIfAborted();
        return await refusalMs(() => request(stranger.api, id, stranger));
      };
      const measure = (count: number) => sample(call, { hidden, absent }, count, random);
      await measure(Math.min(warmUpCallsMax, Math.ceil(calls * warmUpShare)));
      const samples = await measure(calls);
      const p = probabilitySlower(samples);
      const isDifferent = Math.abs(p - 0.5) > differenceAllowed(samples);
      const { hidden: hiddenMs, absent: absentMs } = samples;
      const [h, a] = [hiddenMs, absentMs].map((each) => `${median(each).toFixed(2)} ms`);
      console.log(line(h, a, p.toFixed(3), `${name}${isDifferent ? '  DIFFERENT' : ''}`));
      compared.push(isDifferent);
    }
  }
  const different = compared.filter((isDifferent) => isDifferent).length;
  console.log(`${compared.length} requests compared, ${different} different`);
  return compared.length === 0 || different > 0 ? 1 : 0;
}

/** A thing and a stranger who cannot see it; `use` lets its owner use it. */
type Trial = HiddenThing & { stranger: SignedUp; use?: () => Promise<void> };

/** Migrations come last, because background work runs as long as one is open. */
async function* trials({ us, eu }: Record<'us' | 'eu', Clients>): AsyncGenerator<Trial> {
  const { things, use } = await hideThings(await us.signUp('Owner'));
  const stranger = await us.signUp('Stranger');
  for (const thing of things) yield { ...thing, stranger, use };
  const { migrations, offers } = await hideMigration({ us, eu });
  yield { ...migrations, stranger };
  yield { ...offers, stranger: await eu.signUp('Stranger there') };
}

/**
 * The durations of calls about a hidden thing and absent ones, as many of each, in random order.
 */
async function sample(
  call: (id: string) => Promise<number>,
  { hidden, absent }: Pick<HiddenThing, 'hidden' | 'absent'>,
  calls: number,
  random: SeededRandom,
): Promise<Samples> {
  const samples = { hidden: [] as number[], absent: [] as number[] };
  const order = Array.from({ length: calls }, (_, index) => index % 2 === 0);
  for (const isHidden of random.shuffle(order)) {
    if (isHidden) samples.hidden.push(await call(hidden));
    else samples.absent.push(await call(absent()));
  }
  return samples;
}

/** The duration of a call that must be refused with NOT_FOUND. */
async function refusalMs(call: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  try {
    await call();
  } catch (error) {
    const tookMs = performance.now() - startMs;
    if (error instanceof SiloError && error.code === status.NOT_FOUND) return tookMs;
    throw error;
  }
  throw new Error('a request about a hidden or absent thing was not refused');
}

/** Own servers, limits that do not refuse the calls, and in a control run no decoy. */
function settingsOf(withoutDecoy: boolean): NodeJS.ProcessEnv {
  const hook = pathToFileURL(join(import.meta.dirname, 'without-decoy.ts')).href;
  return {
    ...generousLimitVariables,
    ...{ MONGODB_URL: undefined, NATS_URL: undefined, LOG_LEVEL: 'error' },
    ...(withoutDecoy && { NODE_OPTIONS: `--import=${hook}` }),
  };
}

function line(hidden = '', absent = '', p = '', name = ''): string {
  return `${hidden.padStart(13)}  ${absent.padStart(13)}  ${p.padStart(16)}  ${name}`.trimEnd();
}

function parse() {
  try {
    const { values } = parseArgs({
      options: {
        calls: { type: 'string', default: '4000' },
        seed: { type: 'string' },
        only: { type: 'string', multiple: true, default: [] },
        'without-decoy': { type: 'boolean', default: false },
      },
    });
    const calls = Number(values.calls);
    const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
    if (!Number.isSafeInteger(calls) || calls < 2 || !Number.isSafeInteger(seed)) return undefined;
    return { calls, seed, only: values.only, withoutDecoy: values['without-decoy'] };
  } catch {
    return undefined;
  }
}
