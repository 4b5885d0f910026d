import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '../../harness/eventually.ts';
import type { EdgeProcess } from '../../harness/processes.ts';
import type { FaultSilo } from '../fault-silo.ts';
import { type Posted, postBody } from './batches.ts';

export type OutageOptions = {
  edge: EdgeProcess;
  token: string;
  /** How many send at the same time, and events of how many bytes in all. */
  clients: number;
  bodyBytes: number;
  /** How large each of these events is; 700 unless given, as those of a browser. */
  eventBytes?: number;
  /** How often each must have been refused before MongoDB goes on. */
  refusalsEach: number;
};

/** What an edge used while MongoDB stood still, in bytes. */
export type OutageUse = {
  /** Resident, before the first request. */
  idle: number;
  /** Resident at most, during the outage. */
  peak: number;
  /** At most, by the edge's own metric. */
  heldPeak: number;
  refused: number;
  /** Answers that were neither 200 nor 503 with Retry-After. */
  dishonest: string[];
};

const eventBytesDefault = 700;
/** Of an event of this file, beside its text. */
const otherBytes = 130;
/** Where many clients share what an edge holds for 8 s at a time. */
const outageMsMax = 600_000;
/** As `Retry-After` says. */
const retryMs = 1_000;

/**
 * Stops MongoDB while clients go on sending: each the same body until it is answered with 200, and
 * then the next one. MongoDB goes on when each has been refused; returns when each has been answered
 * with 200 after that, and the edge holds nothing any more.
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
  // What was refused may still have been being stored.
  await eventually(async () => {
    const { held } = await readUse(edge);
    if (held > 0) throw new Error(`${held} bytes are held`);
  });
  return use;
}

/** 503 with Retry-After; the edge runs, so that no connection may be lost. */
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

/** What an edge uses now, by its metrics. */
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
