/**
 * `npm run captures`: a flood of events on several edges while tokens and projects end, and the
 * memory of an edge while MongoDB stands still. Exits with 1 if an event is stored too late or
 * lost, if an edge does not answer, if too few events are accepted in time, or if the memory grows
 * to more than twice that of an idle edge.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { obtainBinaries } from '../../harness/servers.ts';
import { startFaultSilo } from '../fault-silo.ts';
import { useInOutage } from './memory.ts';
import { race } from './race.ts';

const usage = `npm run captures -- [--captures N] [--edges E] [--projects P] [--nats STATE]
                    [--minutes M] [--without-permits] [--only race|memory]
  --captures N       events that are taken in the race (1000000)
  --minutes M        then the race ends with what it has taken (720)
  --edges E          processes with ROLE=edge, beside the one in the project service (2)
  --projects P       whose tokens end, again and again (8)
  --nats STATE       killed, stopped or running (killed)
  --without-permits  a control run of the race, which must find what is stored too late
  --only PART        race or memory`;

const natsStates = ['killed', 'stopped', 'running'];
const parts = ['race', 'memory'];
const memoryTimesMax = 2;
const perBatch = 100;
const sendersEach = 2;
const minuteMs = 60_000;
const lineEveryMs = 10_000;
/** Many small bodies, and few large ones; each together more than an edge holds. */
const outages = [
  { clients: 500, bodyBytes: 70_000 },
  { clients: 40, bodyBytes: 1_000_000 },
  { clients: 6, bodyBytes: 9_000_000 },
];

type Options = NonNullable<ReturnType<typeof parse>>;

process.exitCode = await main();

async function main(): Promise<number> {
  const options = parse();
  if (options === undefined) {
    console.error(usage);
    return 2;
  }
  Object.assign(process.env, await obtainBinaries((line) => console.log(`# ${line}`)));
  let wrong = 0;
  if (options.only !== 'memory') wrong += await runRace(options);
  if (options.only !== 'race' && !options.withoutPermits) wrong += await runMemory();
  return wrong > 0 ? 1 : 0;
}

async function runRace(options: Options): Promise<number> {
  const { captures, edges, projects, minutes, nats, withoutPermits } = options;
  await using silo = await startFaultSilo({
    ...{ edges, environment: { LEASE_MS: '2000', LEASE_RENEW_MS: '950' } },
    ...(withoutPermits && {
      main: join(import.meta.dirname, '..', 'service-with-unheld-permits.ts'),
    }),
  });
  if (nats === 'killed') await silo.natsServer.kill();
  if (nats === 'stopped') silo.natsServer.signal('SIGSTOP');
  const startMs = performance.now();
  let lineMs = startMs;
  const tally = await race(silo, {
    ...{ projects, senders: sendersEach, perBatch, withinMs: minutes * minuteMs },
    isOver: ({ taken }) => taken >= captures,
    log: (line) => {
      const nowMs = performance.now();
      if (nowMs - lineMs < lineEveryMs) return;
      lineMs = nowMs;
      console.log(`# ${((nowMs - startMs) / minuteMs).toFixed(1)} min: ${line}`);
    },
  });
  const { taken, refused, unavailable, lost, ends, late, missing, unfinished } = tally;
  for (const line of [...late, ...missing, ...unfinished]) console.log(`  ${line}`);
  for (const { message } of silo.failures) console.log(`  ${message}`);
  const tookMinutes = (performance.now() - startMs) / minuteMs;
  console.log(
    `${taken} of ${captures} events taken in ${tookMinutes.toFixed(1)} min, ` +
      `${refused} refused with 401, ${unavailable} with 503, ${lost} without an answer; ` +
      `${ends} tokens and projects ended; ${late.length} late, ${missing.length} missing`,
  );
  const tooFew = taken < captures ? 1 : 0;
  return tooFew + late.length + missing.length + lost + silo.failures.length;
}

async function runMemory(): Promise<number> {
  let wrong = 0;
  for (const outage of outages) {
    await using silo = await startFaultSilo({ edges: 1 });
    const { projectToken: token } = await silo.signUp();
    const [, edge] = silo.edges;
    if (edge === undefined) throw new Error('no edge runs alone');
    const use = await useInOutage(silo, { edge, token, ...outage, refusalsEach: 1 });
    const times = use.peak / use.idle;
    if (times > memoryTimesMax || use.dishonest.length > 0) wrong++;
    console.log(
      `${outage.clients} clients, bodies of ${outage.bodyBytes} bytes: ${mb(use.idle)} idle, ` +
        `${mb(use.peak)} at most (${times.toFixed(2)}x), ${mb(use.heldPeak)} held; ` +
        `${use.refused} times 503, ${use.dishonest.length} other answers`,
    );
  }
  return wrong;
}

function mb(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`;
}

function parse() {
  try {
    const { values } = parseArgs({
      options: {
        captures: { type: 'string', default: '1000000' },
        edges: { type: 'string', default: '2' },
        projects: { type: 'string', default: '8' },
        minutes: { type: 'string', default: '720' },
        nats: { type: 'string', default: 'killed' },
        'without-permits': { type: 'boolean', default: false },
        only: { type: 'string' },
      },
    });
    const { nats, only, 'without-permits': withoutPermits } = values;
    const numbers = {
      captures: Number(values.captures),
      edges: Number(values.edges),
      projects: Number(values.projects),
      minutes: Number(values.minutes),
    };
    const { edges, ...counts } = numbers;
    if (!Object.values(numbers).every(Number.isSafeInteger)) return undefined;
    if (edges < 0 || Object.values(counts).some((count) => count < 1)) return undefined;
    if (!natsStates.includes(nats)) return undefined;
    if (only !== undefined && !parts.includes(only)) return undefined;
    return { ...numbers, nats, only, withoutPermits };
  } catch {
    return undefined;
  }
}
