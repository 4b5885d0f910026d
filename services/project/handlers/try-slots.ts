import { errors } from '@silo/errors/errors.ts';
import type { Transaction } from '@silo/log/event-log.ts';
import type { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type {
  OnBehalfOf,
  TryOutcome,
} from '@silo/protos/gen/silo/project/internal/v1/slot_service.ts';
import { ask } from '@silo/rpc/ask.ts';
import type { Call } from '@silo/rpc/call.ts';
import { slotsChangedEvent } from '../events.ts';
import { type Attempt, changesSlots, decideConditionalChange } from '../rules/slots.ts';
import type { Dependencies } from './dependencies.ts';

type Uses = Pick<Dependencies, 'slots' | 'eventLog' | 'access'>;

/** What is tried, where, by whom, and what that one must be allowed. */
export type SlotsTry = {
  organizationId: string;
  /** What is tried, from what its transaction sees. */
  attempt(tx: Transaction): Attempt | Promise<Attempt>;
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
  const hasAccess = await mayStill(uses, call, wanted);
  const { signal, permits } = call;
  const { value } = await eventLog.decide({ id, actor, signal, permits }, async (tx) => {
    const before = await slots.read(tx, organizationId);
    if (before === undefined) throw errors.notReady('the organization’s project slots');
    const { outcome, after } = decideConditionalChange(before, await attempt(tx), hasAccess);
    if (after === undefined) return outcome;
    const isClosing = after.closed && !before.closed;
    await slots.replace(tx, isClosing ? { ...after, closeTime: tx.now } : after);
    if (changesSlots(before, after)) tx.emit(slotsChangedEvent(before, after, { actor, tx }));
    return outcome;
  });
  return value;
}

/** Takes a permit for the conditional change, on behalf of the saga's caller. */
async function mayStill(
  { access }: Uses,
  call: Call,
  { organizationId, onBehalfOf, scope, level }: SlotsTry,
): Promise<boolean> {
  const { keyHash, accountId } = onBehalfOf;
  const answer = await ask(access, call, { keyHash, scope, organizationId, level });
  return answer.allowed && answer.facts.key.accountId === accountId;
}
