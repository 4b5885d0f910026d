import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { type Batch, type BatchResult, runBatch } from './batch.ts';

/** Small, so that a run on a slow machine ends soon after its budget is used. */
const batchSize = 100;

type Options = {
  workers: number;
  /** Once this much time is used, no batch beyond the first `schedulesMin` schedules begins. */
  budget?: { timeMs: number; schedulesMin: number };
  onProgress?: (done: number) => void;
};

/**
 * Runs schedules in several threads, a batch at a time: all of `work`, or as many as the budget
 * allows. A control run ends with the first batch that finds something, and its violation with the
 * lowest seed counts.
 */
export async function runInWorkers(
  work: Batch,
  { workers, budget, onProgress = () => {} }: Options,
): Promise<BatchResult> {
  const startedMs = performance.now();
  const isBudgetUsed = (begun: number) =>
    budget !== undefined &&
    begun >= budget.schedulesMin &&
    performance.now() - startedMs >= budget.timeMs;
  const total: BatchResult = {
    schedules: 0,
    violations: [],
    returned: 0,
    verified: 0,
    fromMemory: 0,
  };
  let nextOffset = 0;
  const nextBatch = (): Batch | undefined => {
    const isEnough = work.isControl && total.violations.some(({ kind }) => kind === 'safety');
    if (isEnough || nextOffset >= work.schedules || isBudgetUsed(nextOffset)) return undefined;
    const schedules = Math.min(batchSize, work.schedules - nextOffset);
    const batch = { ...work, firstSeed: work.firstSeed + nextOffset, schedules };
    nextOffset += schedules;
    return batch;
  };
  const add = (result: BatchResult) => {
    total.schedules += result.schedules;
    total.violations.push(...result.violations);
    total.returned += result.returned;
    total.verified += result.verified;
    total.fromMemory += result.fromMemory;
    onProgress(total.schedules);
  };
  await Promise.all(Array.from({ length: workers }, () => runWorker(nextBatch, add)));
  total.violations.sort((a, b) => a.seed - b.seed);
  return total;
}

/** One thread: takes batches until there is none. */
async function runWorker(
  nextBatch: () => Batch | undefined,
  add: (result: BatchResult) => void,
): Promise<void> {
  const worker = new Worker(new URL(import.meta.url));
  try {
    await new Promise<void>((resolve, reject) => {
      const next = () => {
        const batch = nextBatch();
        if (batch === undefined) resolve();
        else worker.postMessage(batch);
      };
      worker.on('message', (result: BatchResult) => {
        add(result);
        next();
      });
      worker.once('error', reject);
      worker.once('exit', () => reject(new Error('a simulation thread has died')));
      next();
    });
  } finally {
    await worker.terminate();
  }
}

if (!isMainThread) {
  parentPort?.on('message', (batch: Batch) => parentPort?.postMessage(runBatch(batch)));
}
