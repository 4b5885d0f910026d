import { startForked } from '../../harness/forked.ts';
import type { BareEdgeOptions } from '../bare-edge.ts';
import type { Bench } from '../bench-servers.ts';
import { BareEvents, bareInserts, captureSamples } from '../captured.ts';
import { compareCpu } from '../compare-cpu.ts';
import { Bodies, batchBody, HttpClient } from '../http-load.ts';
import { Live } from '../live.ts';
import { compareThroughputs } from '../measure.ts';
import { type Measured, perSecond, type Row } from '../row.ts';
import { createTenant, giveTokens } from '../tenant.ts';
import { anew, webEvents } from '../web-events.ts';

const projectCount = 100;
const batchSize = 100;
const batchCount = 50;
const clients = 8;
const rounds = 15;
const warmUpRounds = 4;
/** As many as the rounds need, because making them takes longer than storing their events. */
const bodiesAhead = 6_000;
const database = 'bench_floor_http';

/**
 * Events per second that the HTTP edge stores: `/batch` with gzip, 100 events each, 8 at once, for
 * 100 projects in turn. Every batch is durable when it is answered. The floor: a bare fastify
 * server in a separate process that unpacks and parses the same bodies and inserts the same
 * documents into the same indexes, equally durable. Also compared: a bare `insertMany` of the same
 * documents, from this process.
 */
export const captureHttp: Row = {
  name: 'capture-http',
  unit: 'events/s',
  goal: { of: 'ratio', atLeast: 0.7 },
  about: `POST /batch with gzip, batches of ${batchSize}, ${clients} at once; floor: bare fastify that unpacks, parses and inserts the same`,
  run: measure,
};

async function measure(bench: Bench): Promise<Measured> {
  const silo = await bench.silo();
  const { mongodb, edge } = silo.endpoints;
  await using live = new Live(silo);
  using tenant = await createTenant(silo, live, { projects: projectCount });
  const { projectIds, projectToken } = tenant;
  const tokens = [projectToken, ...(await giveTokens(live, projectIds.slice(1)))];
  await using stack = new AsyncDisposableStack();
  const bare = stack.use(await BareEvents.open(mongodb, database));
  await bare.createLike(live.collection('project', 'captured_events'));
  const options: BareEdgeOptions = {
    ...{ mongodb, database },
    projectIds: Object.fromEntries(tokens.map((token, index) => [token, projectIds[index] ?? ''])),
  };
  const file = new URL('../bare-edge.ts', import.meta.url);
  const { ready: bareUrl, pid } = stack.use(await startForked<string>(file, options));
  const batches = Array.from({ length: batchCount }, (_, seed) => webEvents(batchSize, seed));
  const make = (turn: number) =>
    batchBody(tokens[turn % tokens.length] ?? '', anew(batches[turn % batchCount] ?? []));
  const bodies = new Bodies(make, bodiesAhead);
  const http = stack.use(new HttpClient());
  const loads = {
    floor: bodies.load(http, `${bareUrl}/batch`, clients),
    measured: bodies.load(http, `${edge}/batch`, clients),
  };
  const rates = await compareThroughputs(loads, { rounds, warmUpRounds });
  const pids = {
    mongod: (await bench.serverPids()).mongod,
    service: silo.services.project.pid ?? 0,
    'bare fastify': pid,
    caller: process.pid,
  };
  const cpu = await compareCpu(pids, loads, { unit: 'event', unitsPerCall: batchSize });
  const samples = await captureSamples(silo, live, tenant, batchSize * batchCount);
  const inserts = bareInserts(bare, samples, projectIds, { batchSize, clients });
  const against = await compareThroughputs(
    { floor: inserts, measured: loads.measured },
    { rounds, warmUpRounds },
  );
  const ratio = (against.measured / against.floor).toFixed(2);
  const row = perSecond({
    ...rates,
    floor: rates.floor * batchSize,
    measured: rates.measured * batchSize,
  });
  return { ...row, remark: `${row.remark}; ${ratio}× of a bare insertMany; ${cpu}` };
}
