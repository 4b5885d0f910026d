import type { Bench } from '../bench-servers.ts';
import {
  as,
  BareEvents,
  captureSamples,
  copyOf,
  type EventClient,
  eventClient,
  type StoredEvent,
} from '../captured.ts';
import { Live } from '../live.ts';
import { type Compared, compareThroughputs, type Load } from '../measure.ts';
import { type Measured, perSecond, type Row } from '../row.ts';
import { createTenant, giveTokens } from '../tenant.ts';
import { usageOf } from '../usage.ts';
import { anew, jsonBytes, webEvents } from '../web-events.ts';

const projectCount = 100;
const batchSize = 100;
const batchCount = 50;
const clients = 8;
const cpuTurns = 50;

/**
 * Events per second that `CaptureEvents` stores over public gRPC, in batches of 100, 8 at once, for
 * 100 projects in turn. Every batch is durable when it is answered.
 *
 * The floor: the same documents by a bare `insertMany`, from this process, into a collection with
 * the same indexes, as durable.
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
  const floor = bareLoad(bare, samples, tenant.projectIds);
  const measuredLoad = captureLoad(client, tokens);
  const rates = await compareThroughputs(
    { floor, measured: measuredLoad },
    { rounds: 15, warmUpRounds: 4 },
  );

  const cpu = await cpuPerEvent(
    {
      mongod: (await bench.serverPids()).mongod,
      service: silo.services.project.pid ?? 0,
      caller: process.pid,
    },
    { floor, measured: measuredLoad },
  );
  const { document, indexes } = await bare.bytesPerEvent();
  const measured = perSecond({
    ...rates,
    floor: rates.floor * batchSize,
    measured: rates.measured * batchSize,
  });
  const raw = webEvents(1_000);
  const sent = raw.reduce((sum, event) => sum + jsonBytes(event), 0) / raw.length;
  const bytes = `${document.toFixed(0)} + ${indexes.toFixed(0)} bytes of document and indexes on disk for ${sent.toFixed(0)} of JSON`;
  return { ...measured, remark: `${measured.remark}; ${cpu}; ${bytes}` };
}

/** The CPU time that an event takes in each process, on both sides, as text: less moves it. */
async function cpuPerEvent(
  pids: Readonly<Record<string, number>>,
  loads: Compared<Load>,
): Promise<string> {
  const names = Object.keys(pids);
  const usedMs = () => Object.values(pids).map((pid) => usageOf(pid).cpuMs);
  const during = async ({ operation }: Load) => {
    const before = usedMs();
    const turns = Array.from({ length: clients }, async (_, client) => {
      for (let turn = 0; turn < cpuTurns; turn++) await operation(client);
    });
    await Promise.all(turns);
    const events = clients * cpuTurns * batchSize;
    const used = usedMs().map((ms, index) => ((ms - (before[index] ?? 0)) * 1_000) / events);
    return names.map((name, index) => `${name} ${used[index]?.toFixed(0)}`).join(', ');
  };
  const [bare, ours] = [await during(loads.floor), await during(loads.measured)];
  return `µs of CPU per event: ${ours}; floor: ${bare}`;
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

function bareLoad(
  bare: BareEvents,
  samples: readonly StoredEvent[],
  projectIds: readonly string[],
): Load {
  let next = 0;
  return {
    clients,
    operation: async () => {
      const turn = next++;
      const from = (turn % batchCount) * batchSize;
      const projectId = projectIds[turn % projectIds.length] ?? '';
      await bare.insert(
        samples.slice(from, from + batchSize).map((sample) => copyOf(sample, projectId)),
      );
    },
  };
}
