/**
 * `npm run timing`: whether the response time of an error distinguishes a hidden thing from one
 * that does not exist. Calls every request that names a thing, hidden and absent in random order,
 * one call at a time over one connection. Exits with 1 if the times of any request differ.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { status } from '@grpc/grpc-js';
import { startSilo } from '@silo/embedded/silo.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import { median } from '../../bench/measure.ts';
import { connectClients } from '../../harness/clients.ts';
import { type HiddenThing, hideThings } from '../../harness/id-requests.ts';
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
  await using started = new AsyncDisposableStack();
  const directory = await mkdtemp(join(await quickestPlace(), 'silo-timing-'));
  started.defer(() => rm(directory, { recursive: true, force: true }));
  const environment = environmentOf(withoutDecoy);
  const { signal } = stop;
  const silo = started.use(
    await startSilo({ directory, environment, freePorts: true, signal, log: () => {} }),
  );
  const { ca, staff, services } = silo.endpoints;
  const clients = started.adopt(connectClients(services, { ca, ...staff }), (it) => it.close());
  const owner = await clients.signUp('Owner');
  const stranger = await clients.signUp('Stranger');
  const { things, use } = await hideThings(owner);
  const random = new SeededRandom(seed);
  console.log(`seed ${seed}, ${calls} calls of each request`);
  console.log(line('median hidden', 'median absent', 'P(hidden slower)', ''));
  let compared = 0;
  let different = 0;
  for (const { requests, hidden, absent } of things) {
    for (const [name, request] of Object.entries(requests)) {
      if (only.length > 0 && !only.some((part) => name.includes(part))) continue;
      await use();
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
      compared++;
      if (isDifferent) different++;
    }
  }
  console.log(`${compared} requests compared, ${different} different`);
  return compared === 0 || different > 0 ? 1 : 0;
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
function environmentOf(withoutDecoy: boolean): NodeJS.ProcessEnv {
  const { MONGODB_URL, NATS_URL, ...inherited } = process.env;
  const hook = pathToFileURL(join(import.meta.dirname, 'without-decoy.ts')).href;
  return {
    ...inherited,
    ...generousLimitVariables,
    LOG_LEVEL: 'error',
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
