/**
 * Sends captures to an HTTP edge on a schedule, in a separate process that ends with its parent. A
 * late answer does not delay other requests, because other clients do not wait for it either. The
 * parent sends `begin` and `end`; the answer is a CaptureReport, at the end or at the first
 * failure.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { batchBody, HttpClient } from './http-load.ts';
import { anew, webEvents } from './web-events.ts';

export type CaptureSenderOptions = {
  url: string;
  token: string;
  requestsPerSecond: number;
  eventsPerRequest: number;
};

/**
 * A request that was answered: the time at which it was sent, by the machine's clock, and how long
 * it waited.
 */
export type SentCapture = { atMs: number; tookMs: number };

export type CaptureReport =
  | { failure: string }
  | {
      sent: SentCapture[];
      /** Maximum number of requests that waited at the same time. */
      waitingMax: number;
      /** Maximum delay of a request behind the schedule. */
      lateMsMax: number;
    };

/** A request waits for at most about 8 s; more waiting requests are another kind of failure. */
const waitingLimit = 400;
const batchCount = 20;
const stored = JSON.stringify({ status: 1 });

const options: CaptureSenderOptions = JSON.parse(process.argv[2] ?? '{}');
const batches = Array.from({ length: batchCount }, (_, seed) =>
  webEvents(options.eventsPerRequest, seed),
);
const http = new HttpClient();
let isOver = false;

async function send(): Promise<CaptureReport> {
  const { url, token, requestsPerSecond } = options;
  const sent: SentCapture[] = [];
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {}); // checked after each pause
  let failure: string | undefined;
  const waiting = new Set<Promise<void>>();
  let [waitingMax, lateMsMax] = [0, 0];
  const capture = async (body: Buffer) => {
    const [atMs, startMs] = [Date.now(), performance.now()];
    const tookMs = () => performance.now() - startMs;
    try {
      const answer = await http.post(url, body);
      if (answer !== stored) throw new Error(`the edge answered ${answer}`);
      sent.push({ atMs, tookMs: tookMs() });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const at = new Date(atMs).toISOString();
      failure ??= `a capture failed that was sent at ${at}, after ${tookMs().toFixed(0)} ms: ${message}`;
      failed.reject(error);
    }
  };
  const startMs = performance.now();
  for (let turn = 0; !isOver && failure === undefined; turn++) {
    const body = batchBody(token, anew(batches[turn % batchCount] ?? []));
    const dueMs = startMs + (turn * 1_000) / requestsPerSecond;
    const leftMs = dueMs - performance.now();
    if (leftMs > 0) await pause(leftMs);
    lateMsMax = Math.max(lateMsMax, performance.now() - dueMs);
    if (waiting.size === waitingLimit) {
      failure = `${waitingLimit} captures wait, as many as the bench allows`;
      break;
    }
    const request = capture(body).finally(() => waiting.delete(request));
    waiting.add(request);
    waitingMax = Math.max(waitingMax, waiting.size);
  }
  await Promise.race([Promise.all(waiting), failed.promise]).catch(() => {});
  return failure === undefined ? { sent, waitingMax, lateMsMax } : { failure };
}

process.on('message', (message) => {
  if (message === 'end') {
    isOver = true;
    return;
  }
  isOver = false;
  void send().then((report) => process.send?.(report));
});
process.once('disconnect', () => process.exit());
process.send?.({});
