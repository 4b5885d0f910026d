import { systemSleep } from '@silo/runtime/clock.ts';
import type { Log } from '@silo/runtime/log.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import type { EventBatch, LogReader } from './log-reader.ts';
import type { Position } from './position.ts';

/** Maximum interval between reads without a hint: a restored backup gives none. */
const idleMaxMs = 15_000;
const batchMaxDefault = 500;
const restartPauseMs = 100;
const failurePauseMaxMs = 5_000;

type BatchOptions = {
  /** Maximum number of events in one batch; 0 yields only heads. */
  batchMax?: number | undefined;
  /** Maximum wait at the head before the next read; default 15 s. */
  idleMs?: number | undefined;
  signal: AbortSignal;
};

/**
 * Yields the events after a sequence: first the existing ones, then new events as they arrive.
 * Yields at least one batch, and one without events after each idle wait. Continues after events
 * that retention has deleted, with a batch that reports this. Rejects like the reader, or with the
 * signal's reason.
 */
export async function* batchesAfter(
  reader: LogReader,
  afterSequence: number,
  { batchMax = batchMaxDefault, idleMs = idleMaxMs, signal }: BatchOptions,
): AsyncGenerator<EventBatch, never> {
  for (let reached = afterSequence; ; ) {
    const batch = await reader.read({ afterSequence: reached, limit: batchMax }, signal);
    yield batch;
    const { events, head, firstSequence } = batch;
    if (firstSequence !== undefined) reached = firstSequence - 1;
    else reached = events.at(-1)?.sequence ?? Math.max(reached, head.sequence);
    if (reached >= head.sequence) await reader.wait(reached, idleMs, signal);
  }
}

/**
 * The sequence to start after, in the incarnation of `head`. Called at the start, after each
 * failure, for another incarnation of the log, and after `onEvents` returned 'restart'.
 */
export type StartAfter = (head: Position, signal: AbortSignal) => number | Promise<number>;

/**
 * Handles a batch, which may have no events. If it rejects, the subscription starts again, so the
 * same events may come twice.
 */
export type OnEvents = (batch: EventBatch, signal: AbortSignal) => Promise<'restart' | undefined>;

/**
 * Follows a log until the signal: passes its batches to `onEvents` in order, one at a time.
 * Failures of the reader or the handler are logged, and followed by a growing pause. Never rejects.
 */
export async function subscribe(
  reader: LogReader,
  from: StartAfter,
  onEvents: OnEvents,
  options: BatchOptions & {
    /** The name of the subscription in logs. */
    name: string;
    log: Log;
    onProgress?: ((outcome: 'made' | 'failed') => void) | undefined;
  },
): Promise<void> {
  const { name, log, onProgress, ...batchOptions } = options;
  let incarnation = '';
  let batches: AsyncGenerator<EventBatch, never> | undefined;

  const start = async (signal: AbortSignal) => {
    const head = await reader.head(signal);
    incarnation = head.incarnation;
    return batchesAfter(reader, await from(head, signal), batchOptions);
  };

  const handleNext = async (signal: AbortSignal) => {
    batches ??= await start(signal);
    const { value: batch } = await batches.next();
    const isSameLog = batch.head.incarnation === incarnation;
    if (isSameLog && (await onEvents(batch, signal)) !== 'restart') return;
    batches = undefined;
    await systemSleep(restartPauseMs, signal);
  };

  const loop = { name, intervalMs: 0, capMs: failurePauseMaxMs, signal: options.signal, log };
  await runForever(loop, async (signal) => {
    try {
      await handleNext(signal);
      onProgress?.('made');
    } catch (error) {
      batches = undefined;
      if (!signal.aborted) onProgress?.('failed');
      throw error;
    }
  });
}
