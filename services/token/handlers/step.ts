import type { Mutation } from '@silo/mongo/mutation.ts';
import type { Call } from '@silo/rpc/call.ts';

/**
 * The mutation of a saga's step: its events have the id of the saga and the actor that began it.
 */
export function stepOf(call: Call, saga: { correlationId: string; actor?: string }): Mutation {
  return {
    id: saga.correlationId || call.id,
    actor: saga.actor || call.actor,
    signal: call.signal,
    permits: undefined,
  };
}
