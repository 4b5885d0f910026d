/**
 * Floods an HTTP edge with captures, in a separate process. Each message of its parent names the
 * target; null ends the flood. The reply reports what the previous flood has sent, when all of it
 * is answered.
 */
import { gzipSync } from 'node:zlib';
import { HttpClient } from './http-load.ts';
import { webEvents } from './web-events.ts';

/** Uses `tokens` in turn; sends this number of batches of this number of events at once. */
export type FlooderOptions = { tokens: readonly string[]; clients: number; batchSize: number };

/**
 * The duration of a flood, the number of accepted batches, and the numbers of failed ones by
 * reason.
 */
export type Flood = { durationMs: number; taken: number; failed: Record<string, number> };

const { tokens, clients, batchSize }: FlooderOptions = JSON.parse(process.argv[2] ?? '');
const http = new HttpClient();
// Without UUID and timestamp an event gets new ones each time, so one body serves for a whole
// flood.
const bodies = tokens.map((token, seed) => {
  const batch = webEvents(batchSize, seed).map(({ name, distinctId, properties }) => ({
    ...{ event: name, distinct_id: distinctId, properties: JSON.parse(properties) },
  }));
  return gzipSync(JSON.stringify({ api_key: token, batch }));
});
const none: Flood = { durationMs: 0, taken: 0, failed: {} };
let end = async (): Promise<Flood> => none;

process.on('message', async ({ url }: { url: string | null }) => {
  const before = await end();
  end = url === null ? async () => none : await flood(url);
  process.send?.(before);
});
process.once('disconnect', () => process.exit());
process.send?.(none);

/** Begins, and when the first batch is answered returns a function that ends the flood. */
async function flood(url: string): Promise<() => Promise<Flood>> {
  const startMs = performance.now();
  const counts: Flood = { durationMs: 0, taken: 0, failed: {} };
  const underWay = Promise.withResolvers<void>();
  let isOver = false;
  const client = async (index: number) => {
    for (let turn = index; !isOver; turn += clients) {
      try {
        await http.post(url, bodies[turn % bodies.length] ?? Buffer.alloc(0));
        counts.taken++;
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        counts.failed[why] = (counts.failed[why] ?? 0) + 1;
      }
      underWay.resolve();
    }
  };
  const all = Promise.all(Array.from({ length: clients }, (_, index) => client(index)));
  await underWay.promise;
  return async () => {
    isOver = true;
    await all;
    return { ...counts, durationMs: performance.now() - startMs };
  };
}
