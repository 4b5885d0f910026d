import type { Propagate } from '@silo/rpc/propagation.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import type { Log } from '@silo/runtime/log.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import type { EventDeletionDocument, EventDeletionStore } from '../store/event-deletions.ts';

const intervalMs = 3_000;
const deletionsAtOnce = 100;
/** How many deletions are looked at before the oldest has its turn again. */
const seenMax = 1_000;
/** Then another deletion has its turn: 10,000 events at most. */
const batchesMax = 20;
const settleMs = 30_000;

type Dependencies = {
  deletions: Pick<EventDeletionStore, 'unfinished' | 'settle' | 'removeSome'>;
  propagate: Propagate;
  clock: Clock;
  log: Log;
};

/**
 * Removes, until the signal, the events that deletions cover. Every replica does: a batch and how far
 * the removal has come are one transaction, so that each goes on where another has stopped.
 */
export async function removeDeletedEvents(
  dependencies: Dependencies,
  signal: AbortSignal,
): Promise<void> {
  const options = { name: 'remove-deleted-events', intervalMs, signal, log: dependencies.log };
  await runForever(options, (turnSignal) => removeDue(dependencies, turnSignal));
}

/**
 * One turn: some of each deletion, the oldest first, and again, until nothing is left but what others
 * work on, or what fails, which is logged.
 * @internal Exported for tests.
 */
export async function removeDue(dependencies: Dependencies, signal: AbortSignal): Promise<void> {
  const failed = new Set<string>();
  while (await removeSomeOfEach(dependencies, failed, signal)) signal.throwIfAborted();
}

/** Answers whether more is to be removed by this process. What has failed in this turn waits for the next. */
async function removeSomeOfEach(
  dependencies: Dependencies,
  failed: Set<string>,
  signal: AbortSignal,
): Promise<boolean> {
  const { deletions, log } = dependencies;
  const seen = [...failed];
  let isLeft = false;
  let isLast = false;
  while (!isLast && seen.length < seenMax) {
    const wanted = { limit: deletionsAtOnce, except: seen };
    const some = await deletions.unfinished(wanted, signal);
    isLast = some.length < deletionsAtOnce;
    for (const deletion of some) {
      const { _id: deletionId, projectId } = deletion;
      seen.push(deletionId);
      try {
        if (await advance(dependencies, deletion, signal)) isLeft = true;
      } catch (error) {
        signal.throwIfAborted();
        failed.add(deletionId);
        log.warn({ projectId, deletionId, err: error }, 'a deletion of events did not go on');
      }
    }
  }
  return isLeft;
}

/** Some batches of one deletion. Answers whether more are to be removed by this process. */
async function advance(
  { deletions, propagate, clock }: Dependencies,
  deletion: EventDeletionDocument,
  signal: AbortSignal,
): Promise<boolean> {
  if (!deletion.isSettled) {
    // The handler may have died before its barrier: a capture of an earlier generation may be open.
    await propagate([], AbortSignal.any([signal, AbortSignal.timeout(settleMs)]));
    await deletions.settle(deletion._id, signal);
  }
  let left = deletion;
  for (let batches = 0; batches < batchesMax; batches++) {
    signal.throwIfAborted();
    const after = await deletions.removeSome(left, clock.now(), signal);
    // It is finished, or another process removes what it covers at the same time.
    if (!after?.isOpen) return false;
    left = after;
  }
  return true;
}
