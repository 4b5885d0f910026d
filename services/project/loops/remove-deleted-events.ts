import type { Propagate } from '@silo/rpc/propagation.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import type { Log } from '@silo/runtime/log.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import type { EventDeletionDocument, EventDeletionStore } from '../store/event-deletions.ts';

const intervalMs = 3_000;
const deletionsAtOnce = 100;
const settleMs = 30_000;

type Uses = {
  deletions: Pick<EventDeletionStore, 'unfinished' | 'settle' | 'removeSome'>;
  propagate: Propagate;
  clock: Clock;
  log: Log;
};

/**
 * Removes, until the signal, the events that deletions cover. Every replica does: a batch and how far
 * the removal has come are one transaction, so that each goes on where another has stopped.
 */
export async function removeDeletedEvents(uses: Uses, signal: AbortSignal): Promise<void> {
  const { deletions, log } = uses;
  const options = { name: 'remove-deleted-events', intervalMs, signal, log };
  await runForever(options, async () => {
    for (const deletion of await deletions.unfinished(deletionsAtOnce, signal)) {
      await finish(uses, deletion, signal);
    }
  });
}

/** Removes all that one deletion covers, unless another process does at the same time. */
async function finish(
  { deletions, propagate, clock }: Uses,
  deletion: EventDeletionDocument,
  signal: AbortSignal,
): Promise<void> {
  if (!deletion.isSettled) {
    // The handler may have died before its barrier: a capture of an earlier generation may be open.
    await propagate([], AbortSignal.any([signal, AbortSignal.timeout(settleMs)]));
    await deletions.settle(deletion._id, signal);
  }
  let left: EventDeletionDocument | undefined = deletion;
  while (left?.isOpen && !signal.aborted) {
    left = await deletions.removeSome(left, clock.now(), signal);
  }
}
