import type { Bench } from '../bench-servers.ts';
import {
  as,
  BareEvents,
  bareInserts,
  bytesText,
  captureSamples,
  type EventClient,
  eventClient,
} from '../captured.ts';
import { compareCpu } from '../compare-cpu.ts';
import { Live } from '../live.ts';
import { compareThroughputs, type Load } from '../measure.ts';
import { type Measured, perSecond, type Row } from '../row.ts';
import { createTenant, giveTokens } from '../tenant.ts';
import { anew, webEvents } from '../web-events.ts';

const projectCount = 100;
const batchSize = 100;
const batchCount = 50;
const clients = 8;

/**
 * Events per second that `CaptureEvents` stores over public gRPC, in batches of 100, 8 at once, for
 * 100 projects in turn. Every batch is durable when it is answered. The floor: the same documents
 * by a bare `insertMany`, from this process, into a collection with the same indexes, equally
 * durable.
 */
export const captureGrpc: Row = {
  name: 'capture-grpc',
  unit: 'events/s',
  goal: { of: 'ratio', atLeast: 0.75 },
  about: `CaptureEvents in batches of ${batchSize}, ${clients} at once; floor: a bare insertMany of the same documents into the same indexes`,
  run: measure,
};

async function measure(bench: Bench): Promise<Measured> {
  const silo = await bench.silo();
  await using live = new Live(silo);
  using tenant = await createTenant(silo, live, { projects: projectCount });
  const [, ...others] = tenant.projectIds;
  const tokens = [tenant.projectToken, ...(await giveTokens(live, others))];
  const samples = await captureSamples(silo, live, tenant, batchSize * batchCount);
  await using stack = new AsyncDisposableStack();
  const bare = stack.use(await BareEvents.open(silo.endpoints.mongodb, 'bench_floor_capture'));
  await bare.createLike(live.collection('project', 'captured_events'));
  const client = stack.use(eventClient(silo));
  const floor = bareInserts(bare, samples, tenant.projectIds, { batchSize, clients });
  const measuredLoad = captureLoad(client, tokens);
  const rates = await compareThroughputs(
    { floor, measured: measuredLoad },
    { rounds: 15, warmUpRounds: 4 },
  );
  const cpu = await compareCpu(
    {
      mongod: (await bench.serverPids()).mongod,
      service: silo.services.project.pid ?? 0,
      caller: process.pid,
    },
    { floor, measured: measuredLoad },
    { unit: 'event', unitsPerCall: batchSize },
  );
  const measured = perSecond({
    ...rates,
    floor: rates.floor * batchSize,
    measured: rates.measured * batchSize,
  });
  return { ...measured, remark: `${measured.remark}; ${cpu}; ${await bytesText(bare)}` };
}

function captureLoad(client: EventClient, tokens: readonly string[]): Load {
  const batches = Array.from({ length: batchCount }, (_, seed) => webEvents(batchSize, seed));
  let next = 0;
  return {
    clients,
    operation: async () => {
      const turn = next++;
      const events = anew(batches[turn % batchCount] ?? []);
      const caller = as(tokens[turn % tokens.length] ?? '');
      await client.captureEvents({ events, superProperties: '' }, caller);
    },
  };
}
