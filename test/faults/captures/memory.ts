import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '../../harness/eventually.ts';
import type { EdgeProcess } from '../../harness/processes.ts';
import type { FaultSilo } from '../fault-silo.ts';
import { type Posted, postBody } from './batches.ts';

export type OutageOptions = {
  edge: EdgeProcess;
  token: string;
  /** Number of concurrent clients, and the total size of each client's events in bytes. */
  clients: number;
  bodyBytes: number;
  /** Size of each event; default 700, as those of a browser. */
  eventBytes?: number;
  /** Number of times that each must have been refused before MongoDB continues. */
  refusalsEach: number;
};

/** Memory use of an edge while MongoDB stood still, in bytes. */
export type OutageUse = {
  /** Resident memory before the first request. */
  idle: number;
  /** Maximum resident memory during the outage. */
  peak: number;
  /** Maximum by the edge's own metric. */
  heldPeak: number;
  refused: number;
  /** Answers that were neither 200 nor 503 with Retry-After. */
  dishonest: string[];
};

const eventBytesDefault = 700;
/** Size of an event in this file without its text. */
const otherBytes = 130;
/** Long enough for many clients that share the memory of an edge, each for up to 8 s. */
const outageMsMax = 600_000;
/** The delay in `Retry-After`. */
const retryMs = 1_000;

/**
 * Stops MongoDB while clients keep sending: each repeats a body until it is answered with 200, and
 * then sends the next one. MongoDB continues when each client has been refused. Returns when each
 * has been answered with 200 after that, and the edge holds nothing any more.
 */
export async function useInOutage(
  { mongod }: Pick<FaultSilo, 'mongod'>,
  { edge, token, clients, bodyBytes, eventBytes = eventBytesDefault, refusalsEach }: OutageOptions,
): Promise<OutageUse> {
  const { resident: idle } = await readUse(edge);
  const use: OutageUse = {
    ...{ idle, peak: 0, heldPeak: 0, refused: 0 },
    dishonest: [],
  };
  const refusals = Array.from({ length: clients }, () => 0);
  let isOver = false;
  const send = async (index: number) => {
    while (!isOver) {
      const body = bodyOf(token, bodyBytes, eventBytes);
      await eventually(async () => {
        const answer = await postBody(edge.url, body);
        if (answer.status === 200) return;
        if (isHonest(answer)) refusals[index] = (refusals[index] ?? 0) + 1;
        else use.dishonest.push(JSON.stringify(answer));
        await pause(retryMs);
        throw new Error(JSON.stringify(answer));
      }, outageMsMax);
    }
  };
  mongod.signal('SIGSTOP');
  const sending = Promise.all(refusals.map((_, index) => send(index)));
  sending.catch(() => {});
  try {
    await eventually(async () => {
      const { resident, held } = await readUse(edge);
      use.peak = Math.max(use.peak, resident);
      use.heldPeak = Math.max(use.heldPeak, held);
      const spared = refusals.filter((count) => count < refusalsEach).length;
      if (spared > 0) throw new Error(`${spared} clients were not refused yet`);
    }, outageMsMax);
  } finally {
    isOver = true;
    mongod.signal('SIGCONT');
  }
  await sending;
  use.refused = refusals.reduce((sum, count) => sum + count, 0);
  // Bodies that were refused may still be in the process of being stored.
  await eventually(async () => {
    const { held } = await readUse(edge);
    if (held > 0) throw new Error(`${held} bytes are held`);
  });
  return use;
}

/** 503 with Retry-After; no connection may be lost, because the edge runs. */
function isHonest(answer: Posted): boolean {
  return answer.status === 503 && Number(answer.retryAfter) > 0;
}

function bodyOf(api_key: string, bytes: number, eventBytes: number): string {
  const count = Math.max(1, Math.round(bytes / eventBytes));
  const batch = Array.from({ length: count }, () => ({
    ...{ event: 'seen', distinct_id: 'ada', uuid: randomUUID() },
    properties: { $host: 'app.example.com', text: 'x'.repeat(eventBytes - otherBytes) },
  }));
  return JSON.stringify({ api_key, batch });
}

/** The present memory use of an edge, by its metrics. */
async function readUse({ metricsUrl }: EdgeProcess): Promise<{ resident: number; held: number }> {
  const text = await (await fetch(metricsUrl)).text();
  const metric = (name: string) => {
    const [, value] = new RegExp(`^${name}(?:\\{[^}]*\\})? ([0-9.e+]+)$`, 'm').exec(text) ?? [];
    if (value === undefined) throw new Error(`there is no ${name}`);
    return Number(value);
  };
  return {
    resident: metric('process_resident_memory_bytes'),
    held: metric('silo_edge_held_bytes'),
  };
}
