import { RepeatedRequest } from '@silo/log/event-log.ts';
import type { RequestRecord } from '@silo/mongo/mutation.ts';

/** The saga that makes the answer, and the record of the call that began it where that was not this. */
export type Begun = { sagaId: string; record?: RequestRecord | undefined };

/** Begins a saga by `begin`, unless an earlier call with the same request_id has begun one. */
export async function beginOrJoin(
  repeat: RequestRecord | undefined,
  begin: () => Promise<string>,
): Promise<Begun> {
  if (repeat !== undefined) return joining(repeat);
  try {
    return { sagaId: await begin() };
  } catch (error) {
    if (error instanceof RepeatedRequest) return joining(error.record);
    throw error;
  }
}

function joining(record: RequestRecord): Begun {
  if (record.sagaId === undefined) throw new TypeError('a remembered request names no saga');
  return { sagaId: record.sagaId, record };
}
