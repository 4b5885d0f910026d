import { errors } from '@silo/errors/errors.ts';
import type { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type {
  OnBehalfOf,
  TryOutcome,
} from '@silo/protos/gen/silo/project/internal/v1/slot_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { type Attempt, changesSlots, judgeTry } from '../rules/slots.ts';
import type { Dependencies } from './dependencies.ts';
import { slotsChangedEvent } from './events.ts';

type Uses = Pick<Dependencies, 'slots' | 'eventLog' | 'access'>;

/** What is tried, where, by whom, and what that one must be allowed. */
export type SlotsTry = {
  organizationId: string;
  attempt: Attempt;
  onBehalfOf: OnBehalfOf;
  scope: string;
  level: Level;
};

/**
 * Tries once to change slots, in one transaction that remembers what it came to: the same revision
 * gets the same answer, whatever has changed since. Refuses with NOT_READY.
 */
export async function trySlots(uses: Uses, call: Call, wanted: SlotsTry): Promise<TryOutcome> {
  const { slots, eventLog } = uses;
  const { organizationId, attempt, onBehalfOf } = wanted;
  const { accountId: actor, correlationId: id } = onBehalfOf;
  const { signal } = call;
  const { value } = await eventLog.decide({ id, actor, signal }, async (tx) => {
    // Before the first statement opens the snapshot, and anew for each attempt of the transaction.
    const hasAccess = await mayStill(uses, wanted, signal);
    const before = await slots.read(tx, organizationId);
    if (before === undefined) throw errors.notReady('the organization’s project slots');
    const { outcome, after } = judgeTry(before, attempt, hasAccess);
    if (after === undefined) return outcome;
    await slots.replace(tx, after);
    if (changesSlots(before, after)) tx.emit(slotsChangedEvent(before, after, { actor, tx }));
    return outcome;
  });
  return value;
}

async function mayStill(
  { access }: Uses,
  { organizationId, onBehalfOf, scope, level }: SlotsTry,
  signal: AbortSignal,
): Promise<boolean> {
  const { keyHash, accountId } = onBehalfOf;
  const answer = await access.authorize({ keyHash, scope, organizationId, level }, signal);
  return answer.allowed && answer.facts.key.accountId === accountId;
}
