import { setTimeout as pause } from 'node:timers/promises';
import { type Forked, startForked } from '../../harness/forked.ts';
import type { BareEdgeOptions } from '../bare-edge.ts';
import type { Bench } from '../bench-servers.ts';
import { BareEvents } from '../captured.ts';
import type { Flood, FlooderOptions } from '../flooder.ts';
import { Live } from '../live.ts';
import { median, quantile } from '../measure.ts';
import type { Measured, Row } from '../row.ts';
import { createTenant, giveTokens, type Tenant } from '../tenant.ts';

const projectCount = 11;
const batchSize = 100;
const clients = 32;
const rounds = 6;
const roundMs = 5_000;
/** Pause, so that work that a flood leaves after its answers does not affect the next turn. */
const settleMs = 500;

/**
 * `MoveProject` over public gRPC while the HTTP edge is flooded with captures for other projects:
 * the slowest calls (p99), one call after another. The flood comes from a separate process:
 * `/batch` with gzip, 100 events each, 32 at once. The access of the caller is known from memory:
 * the project is read before each move, which is not measured. The floor: the same moves without a
 * flood. All share the cores of one machine. The cost of that alone is measured, too, by the same
 * flood on a bare fastify server in a separate process that unpacks and parses the same bodies and
 * inserts the same documents, while the same moves run. The turns alternate.
 */
export const moveFlooded: readonly Row[] = [
  row('move-flooded', 'the edge in the project service', false),
  row('move-flooded-apart', 'an edge in a process of its own', true),
];

function row(name: string, edge: string, isApart: boolean): Row {
  return {
    name,
    unit: 'ms (p99)',
    goal: { of: 'ratio', atMost: 2 },
    about: `MoveProject while ${edge} is flooded by ${clients} clients with batches of ${batchSize}; floor: without; beside: while a bare fastify server is flooded`,
    run: (bench) => measure(bench, isApart),
  };
}

/** The target of a flood in a turn: nothing, the edge, or the bare server. */
const turns = ['idle', 'flooded', 'elsewhere'] as const;
type Turn = (typeof turns)[number];

async function measure(bench: Bench, isApart: boolean): Promise<Measured> {
  const database = `bench_floor_flood${isApart ? '_apart' : ''}`;
  const silo = await bench.silo();
  await using live = new Live(silo);
  using tenant = await createTenant(silo, live, { projects: projectCount });
  const projectIds = tenant.projectIds.slice(1);
  const tokens = await giveTokens(live, projectIds);
  await using stack = new AsyncDisposableStack();
  const { mongodb } = silo.endpoints;
  const bare = stack.use(await BareEvents.open(mongodb, database));
  await bare.createLike(live.collection('project', 'captured_events'));
  const bareOptions: BareEdgeOptions = {
    ...{ mongodb, database },
    projectIds: Object.fromEntries(tokens.map((token, index) => [token, projectIds[index] ?? ''])),
  };
  const bareFile = new URL('../bare-edge.ts', import.meta.url);
  const { ready: bareUrl } = stack.use(await startForked<string>(bareFile, bareOptions));
  const edge = isApart ? stack.use(await bench.startEdge()).url : silo.endpoints.edge;
  const options: FlooderOptions = { tokens, clients, batchSize };
  const file = new URL('../flooder.ts', import.meta.url);
  const flooder = stack.use(await startForked<Flood>(file, options));
  const urls = { idle: undefined, flooded: `${edge}/batch`, elsewhere: `${bareUrl}/batch` };
  const tookMs: Record<Turn, number[]> = { idle: [], flooded: [], elsewhere: [] };
  const floods: Record<Turn, Flood[]> = { idle: [], flooded: [], elsewhere: [] };
  const failedMoves: Record<string, number> = {};
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    for (const turn of turnsOf(round)) {
      const during = async () => {
        const { ms, failed } = await moveFor(roundMs, tenant);
        if (round === 0) return;
        tookMs[turn].push(...ms);
        for (const why of failed) add(failedMoves, `${turn} ${why}`, 1);
      };
      const flood = await floodWhile(flooder, urls[turn], during);
      if (round > 0) floods[turn].push(flood);
      await pause(settleMs);
    }
  }
  const [idle, flooded, elsewhere] = turns.map((turn) => quantile(tookMs[turn], 0.99));
  if (!idle || !flooded || !elsewhere) throw new RangeError('each turn needs a move');
  const remark = [
    `the same flood on bare fastify: ${elsewhere.toFixed(1)} ms (${(elsewhere / idle).toFixed(2)}×)`,
    `flooded ${(flooded / elsewhere).toFixed(2)}× of that`,
    `p50 ${turns.map((turn) => median(tookMs[turn]).toFixed(1)).join(', ')}`,
    `moves ${turns.map((turn) => tookMs[turn].length).join(', ')}`,
    `events/s ${rateOf(floods.flooded).toFixed(0)}, bare fastify ${rateOf(floods.elsewhere).toFixed(0)}`,
    `failed batches: ${textOf(failedOf(floods.flooded))}, bare fastify: ${textOf(failedOf(floods.elsewhere))}`,
    `failed moves: ${textOf(failedMoves)}`,
  ];
  return { value: flooded, floor: idle, remark: remark.join('; ') };
}

/** Each begins the same number of rounds, so that a drift within a round favours none. */
function turnsOf(round: number): readonly Turn[] {
  const first = round % turns.length;
  return [...turns.slice(first), ...turns.slice(0, first)];
}

/** Floods while `work` runs, unless there is no target. */
async function floodWhile(
  flooder: Forked<Flood>,
  url: string | undefined,
  work: () => Promise<void>,
): Promise<Flood> {
  if (url !== undefined) await flooder.request({ url });
  await work();
  return await flooder.request({ url: null });
}

/** Moves the tenant's project back and forth between the organizations. */
async function moveFor(
  forMs: number,
  { projects, projectId, organizationIds }: Tenant,
): Promise<{ ms: number[]; failed: string[] }> {
  const ms: number[] = [];
  const failed: string[] = [];
  const endMs = performance.now() + forMs;
  while (performance.now() < endMs) {
    const { project } = await projects.getProject({ projectId });
    const [first, second] = organizationIds;
    const destinationOrganizationId = project?.organizationId === first ? second : first;
    const ends = { projectId, destinationOrganizationId };
    const startMs = performance.now();
    try {
      await projects.moveProject({ ...ends, etag: '', requestId: '', planFingerprint: '' });
    } catch (error) {
      failed.push(String(error));
    }
    ms.push(performance.now() - startMs);
  }
  return { ms, failed };
}

/** Events a second that were answered as stored. */
function rateOf(floods: readonly Flood[]): number {
  const taken = floods.reduce((sum, each) => sum + each.taken, 0);
  const durationMs = floods.reduce((sum, each) => sum + each.durationMs, 0);
  return (taken * batchSize * 1_000) / durationMs;
}

function failedOf(floods: readonly Flood[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [why, count] of floods.flatMap(({ failed }) => Object.entries(failed))) {
    add(counts, why, count);
  }
  return counts;
}

function add(counts: Record<string, number>, why: string, count: number): void {
  counts[why] = (counts[why] ?? 0) + count;
}

function textOf(counts: Readonly<Record<string, number>>): string {
  const each = Object.entries(counts).map(([why, count]) => `${count} ${why}`);
  return each.length === 0 ? 'none' : each.join(', ');
}
