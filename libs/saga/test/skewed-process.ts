/**
 * A process whose clock is wrong, for skewed-clocks.test.ts. It begins the saga `skewed` and leaves
 * it. On a message it recovers sagas that others have left, until the saga `left` has ended.
 */
import '../../../test/harness/skewed-clock.ts';
import { listing, openProcess } from './support.ts';

export type Options = {
  skewMs: number;
  database: string;
  timing: { leaseMs: number; renewMs: number };
};

const { database, timing }: Options = JSON.parse(process.argv[2] ?? '');
const ended = Promise.withResolvers<void>();
const stop = new AbortController();
const opened = await openProcess(database, { signal: stop.signal });
const definition = listing(new Set(), (point, sagaId) => {
  if (point === 'after c' && sagaId === 'left') ended.resolve();
});
const { sagas, begin } = opened.start(definition, timing);
await begin('skewed');
process.send?.(Date.now());
process.once('message', async () => {
  const resuming = sagas.resume(stop.signal);
  await ended.promise;
  process.send?.(Date.now());
  await resuming;
});
process.once('disconnect', async () => {
  stop.abort();
  await opened[Symbol.asyncDispose]();
});
