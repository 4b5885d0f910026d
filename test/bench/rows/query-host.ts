import { EventFilter, PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import { startForked } from '../../harness/forked.ts';
import type { BareQueryAddresses, BareQueryOptions } from '../bare-query-server.ts';
import type { Bench } from '../bench-servers.ts';
import {
  as,
  BareEvents,
  bytesText,
  captureSamples,
  copies,
  type EventClient,
  eventClient,
  newestByHost,
} from '../captured.ts';
import { compareCpu } from '../compare-cpu.ts';
import { Live } from '../live.ts';
import { compareThroughputs, type Load } from '../measure.ts';
import { type Measured, perSecond, type Row } from '../row.ts';
import { createTenant, type Tenant } from '../tenant.ts';
import { commonHost } from '../web-events.ts';

const projectCount = 100;
const eventCount = 1_000_000;
const sampleCount = 2_000;
const pageSize = 100;
const clients = 4;
const rounds = 15;
const warmUpRounds = 4;
const cpuTurns = 100;
const database = 'silo_project';

/**
 * Pages per second that `QueryEvents` answers over public gRPC, 4 callers at once: the newest 100
 * events with a common `$host` of one of 100 projects, which together have a million events. The
 * floor: a bare `find` of the same documents by the best index, from this process. Also compared:
 * bare grpc-js around the same find, and bare grpc-js that answers the same bytes without a find;
 * and the bytes on disk of an event and of its JSON.
 */
export const queryHost: Row = {
  name: 'query-host',
  unit: 'pages/s',
  goal: { of: 'ratio', atLeast: 0.9 },
  about: `QueryEvents by $host, pages of ${pageSize} among ${eventCount} events of ${projectCount} projects (--events); floor: a bare find on the best index`,
  run: measure,
};

async function measure(bench: Bench): Promise<Measured> {
  const silo = await bench.silo();
  await using live = new Live(silo);
  using tenant = await createTenant(silo, live, { projects: projectCount });
  const samples = await captureSamples(silo, live, tenant, sampleCount);
  await using stack = new AsyncDisposableStack();
  const { mongodb } = silo.endpoints;
  const bare = stack.use(await BareEvents.open(mongodb, database));
  await bare.load(copies(samples, tenant.projectIds, bench.events ?? eventCount));
  const options: BareQueryOptions = {
    ...{ mongodb, database, projectId: tenant.projectId, pageSize },
    tls: await bench.certificate('service', 'project'),
  };
  const file = new URL('../bare-query-server.ts', import.meta.url);
  const { pid, ready: bareGrpc } = stack.use(await startForked<BareQueryAddresses>(file, options));
  const measured = queryLoad(stack.use(eventClient(silo)), tenant);
  const floor = findLoad(bare.collection, tenant.projectIds);
  const compared = await compareThroughputs({ floor, measured }, { rounds, warmUpRounds });
  const pids = {
    mongod: (await bench.serverPids()).mongod,
    service: silo.services.project.pid ?? 0,
    'bare grpc-js': pid,
    caller: process.pid,
  };
  const cpu = [await compareCpu(pids, { floor, measured }, { unit: 'page', turns: cpuTurns })];
  const against = [];
  for (const [what, address] of Object.entries(bareGrpc)) {
    const load = queryLoad(stack.use(eventClient(silo, address)), tenant);
    const loads = { floor, measured: load };
    const rates = await compareThroughputs(loads, { rounds, warmUpRounds });
    against.push(`${(rates.measured / rates.floor).toFixed(2)}× (${what})`);
    cpu.push(await compareCpu(pids, loads, { unit: `page (${what})`, turns: cpuTurns }));
  }
  const row = perSecond(compared);
  const remarks = [row.remark, `bare grpc-js ${against.join(', ')}`, ...cpu, await bytesText(bare)];
  return { ...row, remark: remarks.join('; ') };
}

/** The newest events with the host, of the projects in turn. */
function queryLoad(client: EventClient, { projectIds, apiKey }: Tenant): Load {
  const operator = PropertyOperator.PROPERTY_OPERATOR_EQUAL;
  const condition = { name: '$host', operator, values: [JSON.stringify(commonHost)] };
  const filter = EventFilter.fromPartial({ properties: [condition] });
  let next = 0;
  return {
    clients,
    operation: async () => {
      const projectId = projectIds[next++ % projectIds.length] ?? '';
      const request = { projectId, filter, pageSize, pageToken: '' };
      const { events } = await client.queryEvents(request, as(apiKey));
      requirePage(events.length);
    },
  };
}

function findLoad(events: BareEvents['collection'], projectIds: readonly string[]): Load {
  let next = 0;
  return {
    clients,
    operation: async () => {
      const project = projectIds[next++ % projectIds.length] ?? '';
      requirePage((await newestByHost(events, project, pageSize)).length);
    },
  };
}

function requirePage(length: number): void {
  if (length !== pageSize) throw new Error(`a page has ${length} events instead of ${pageSize}`);
}
