import { systemSleep } from '@silo/runtime/clock.ts';
import type { Log } from '@silo/runtime/log.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import type { EventBatch, LogReader } from './log-reader.ts';
import type { Position } from './position.ts';

/** How often the log is read without a hint: a restored backup gives none. */
const idleMaxMs = 15_000;
const batchMaxDefault = 500;
const restartPauseMs = 100;
const failurePauseMaxMs = 5_000;

type BatchOptions = {
  /** The most events of one batch; 0 yields heads alone. */
  batchMax?: number | undefined;
  /** How long to wait at the head, at most, before reading again; 15 s unless given. */
  idleMs?: number | undefined;
  signal: AbortSignal;
};

/**
 * Yields what follows a sequence: first what is there, then new events as they come. Yields at
 * least one batch, and one without events after each idle wait. Goes on behind what retention has
 * deleted, after a batch that says so. Rejects as the reader does, or with the signal's reason.
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
 * Follows a log until the signal: hands its batches to `onEvents` in order, one at a time. Failures
 * of the reader or the handler are logged, and followed by a growing pause. Never rejects.
 */
export async function subscribe(
  reader: LogReader,
  from: StartAfter,
  onEvents: OnEvents,
  options: BatchOptions & {
    /** Names the subscription in logs. */
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
