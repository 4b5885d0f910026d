import { errors } from '@silo/errors/errors.ts';
import type { RequestIdentity, RequestRecord } from '@silo/mongo/mutation.ts';
import { openWith } from '@silo/tokens/seal.ts';

/** Where requests are stored, such as the event log of libs/mongo. */
export type Ledger = {
  findRequest(key: Uint8Array, signal?: AbortSignal): Promise<RequestRecord | undefined>;
};

/** An earlier call with the same request: its answer, or the saga to join. */
export type Repeat = {
  record: RequestRecord;
  answer?: Uint8Array | undefined;
  joins?: RequestRecord | undefined;
};

/**
 * Finds the earlier call; undefined if there is none. Refuses a different request with the same id.
 */
export async function findRepeat(
  ledger: Ledger,
  request: RequestIdentity,
  signal: AbortSignal,
): Promise<Repeat | undefined> {
  const record = await ledger.findRequest(request.key, signal);
  if (record === undefined) return undefined;
  if (!Buffer.from(request.bodyHash).equals(record.bodyHash)) throw errors.requestIdReused();
  if (record.response !== undefined) return { record, answer: record.response };
  if (record.sagaId !== undefined) return { record, joins: record };
  const answer = record.sealed && openWith(request.id, record.sealed);
  if (answer === undefined) throw new TypeError('a stored request holds no answer');
  return { record, answer };
}
