import type { Propagate } from '@silo/rpc/propagation.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import type { Log } from '@silo/runtime/log.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import type { EventDeletionDocument, EventDeletionStore } from '../store/event-deletions.ts';

const intervalMs = 3_000;
const deletionsAtOnce = 100;
/** Number of deletions that are processed before the oldest has its turn again. */
const seenMax = 1_000;
/** Number of batches before another deletion has its turn: at most 10,000 events. */
const batchesMax = 20;
const settleMs = 30_000;

type Dependencies = {
  deletions: Pick<EventDeletionStore, 'unfinished' | 'settle' | 'removeSome'>;
  propagate: Propagate;
  clock: Clock;
  log: Log;
};

/**
 * Removes the events that deletions cover, until the signal aborts. Every replica does this: a
 * batch and the progress of its removal are one transaction, so that each process continues where
 * another has stopped.
 */
export async function removeDeletedEvents(
  dependencies: Dependencies,
  signal: AbortSignal,
): Promise<void> {
  const options = { name: 'remove-deleted-events', intervalMs, signal, log: dependencies.log };
  await runForever(options, (turnSignal) => removeDue(dependencies, turnSignal));
}

/**
 * One turn: processes the deletions repeatedly, oldest first, until the remaining ones belong to
 * other processes or have failed, which is logged.
 * @internal Exported for tests.
 */
export async function removeDue(dependencies: Dependencies, signal: AbortSignal): Promise<void> {
  const failed = new Set<string>();
  while (await removeSomeOfEach(dependencies, failed, signal)) signal.throwIfAborted();
}

/** Returns whether this process has more to remove. Deletions that fail wait for the next turn. */
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
        log.warn({ projectId, deletionId, err: error }, 'a deletion of events could not continue');
      }
    }
  }
  return isLeft;
}

/** Removes some batches of one deletion. Returns whether this process has more to remove. */
async function advance(
  { deletions, propagate, clock }: Dependencies,
  deletion: EventDeletionDocument,
  signal: AbortSignal,
): Promise<boolean> {
  if (!deletion.isSettled) {
    // The handler may have died before its barrier: a capture of an earlier generation may be
    // running.
    await propagate([], AbortSignal.any([signal, AbortSignal.timeout(settleMs)]));
    await deletions.settle(deletion._id, signal);
  }
  let left = deletion;
  for (let batches = 0; batches < batchesMax; batches++) {
    signal.throwIfAborted();
    const after = await deletions.removeSome(left, clock.now(), signal);
    // The deletion is finished, or another process is working on it.
    if (!after?.isOpen) return false;
    left = after;
  }
  return true;
}
