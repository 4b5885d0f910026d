import { type Call, targetProject } from '@silo/rpc/call.ts';
import { type Deletion, generationOf } from '../../rules/events/deletions.ts';
import type { EventDeletionStore } from '../../store/event-deletions.ts';

/** Reads which deletions still remove events. */
export type ReadDeletions = Pick<EventDeletionStore, 'open'>;

/**
 * The deletions that a read of the target project's events must consider. The project's fact says how
 * many there have been: no read that starts after DeleteEvents has returned rests on an older fact.
 */
export async function openDeletions(deletions: ReadDeletions, call: Call): Promise<Deletion[]> {
  const { id, fact } = targetProject(call);
  return await deletions.open(id, generationOf(fact), call.signal);
}
