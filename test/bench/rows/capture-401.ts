import { startForked } from '../../harness/forked.ts';
import type { BareEdgeOptions } from '../bare-edge.ts';
import type { Bench } from '../bench-servers.ts';
import { compareCpu } from '../compare-cpu.ts';
import { batchBody, HttpClient } from '../http-load.ts';
import { Live } from '../live.ts';
import { compareThroughputs } from '../measure.ts';
import { type Measured, perSecond, type Row } from '../row.ts';
import { createTenant } from '../tenant.ts';
import { webEvents } from '../web-events.ts';

const batchSize = 100;
const clients = 32;
const rounds = 15;
const warmUpRounds = 4;

/**
 * Requests per second with a revoked token that the HTTP edge refuses: a batch of 100 events, 32 at
 * once on kept connections. The floor: a fastify server in a separate process that only answers
 * 401.
 */
export const capture401: Row = {
  name: 'capture-401',
  unit: 'requests/s',
  goal: { of: 'ratio', atLeast: 0.8 },
  about: `POST /batch with a revoked token, ${clients} at once; floor: fastify that answers 401 at once`,
  run: measure,
};

async function measure(bench: Bench): Promise<Measured> {
  const silo = await bench.silo();
  const { mongodb, edge } = silo.endpoints;
  await using live = new Live(silo);
  using tenant = await createTenant(silo, live, { projects: 1 });
  const { projectId, projectToken } = tenant;
  await tenant.tokens.regenerateProjectToken({ projectId, expectedFingerprint: '', requestId: '' });
  await using stack = new AsyncDisposableStack();
  const options: BareEdgeOptions = { mongodb, database: 'bench_floor_401', projectIds: {} };
  const file = new URL('../bare-edge.ts', import.meta.url);
  const { ready: bareUrl, pid } = stack.use(await startForked<string>(file, options));
  const body = batchBody(projectToken, webEvents(batchSize));
  const http = stack.use(new HttpClient());
  const to = (url: string) => ({ clients, operation: () => http.post(url, body, { status: 401 }) });
  const loads = { floor: to(`${bareUrl}/refused`), measured: to(`${edge}/batch`) };
  const rates = perSecond(await compareThroughputs(loads, { rounds, warmUpRounds }));
  const pids = {
    service: silo.services.project.pid ?? 0,
    'bare fastify': pid,
    caller: process.pid,
  };
  const cpu = await compareCpu(pids, loads, { unit: `request of ${body.length} bytes` });
  return { ...rates, remark: `${rates.remark}; ${cpu}` };
}
