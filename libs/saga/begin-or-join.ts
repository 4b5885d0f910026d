import { RepeatedRequest } from '@silo/log/event-log.ts';
import type { RequestRecord } from '@silo/mongo/mutation.ts';

/**
 * Decides a request by `begin`, which usually begins a saga and returns its id. If an earlier call
 * with the same request_id has decided it, returns the result of `join` for that call's record.
 */
export async function beginOrJoin<Begun>(
  repeat: RequestRecord | undefined,
  begin: () => Promise<Begun>,
  join: (record: RequestRecord) => Begun,
): Promise<Begun> {
  if (repeat !== undefined) return join(repeat);
  try {
    return await begin();
  } catch (error) {
    if (error instanceof RepeatedRequest) return join(error.record);
    throw error;
  }
}

/** The id of the saga that makes the response of a recorded request. */
export function sagaOf({ sagaId }: RequestRecord): string {
  if (sagaId === undefined) throw new TypeError('a remembered request names no saga');
  return sagaId;
}
