/** Tests that a hidden resource and an absent one are refused with the same error. */
import { isServiceError } from '@silo/errors/from-status.ts';
import { reasonName } from '@silo/errors/reason-name.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import type { ExecutionContext } from 'ava';
import type { PublicApi, SignedUp } from '../harness/clients.ts';
import type { IdRequest } from '../harness/id-requests.ts';

/**
 * All that a caller receives: code, text and every trailer except the time, with the id replaced.
 */
export async function received(call: Promise<unknown>, id: string): Promise<unknown> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof SiloError) || !isServiceError(error.cause)) throw error ?? new Error('OK');
  const { code, details, metadata } = error.cause;
  const { date: _, ...rest } = metadata.getMap();
  const trailers = Object.entries(rest).map(([key, value]) => [
    key,
    value.toString('latin1').replaceAll(id, '<id>'),
  ]);
  const { reason, details: decoded } = error;
  return { code, details, trailers, reason: reasonName(reason), decoded: blotted(decoded, id) };
}

function blotted(details: unknown, id: string): unknown {
  return JSON.parse(JSON.stringify(details).replaceAll(id, '<id>'));
}

/** Demands that a hidden and an absent thing are refused alike, for this reason. */
export async function sameRefusal(
  t: ExecutionContext<unknown>,
  requests: Record<string, IdRequest>,
  about: { api: PublicApi; own: SignedUp; hidden: string; absent: () => string; reason: string },
): Promise<void> {
  const { api, own, hidden, absent, reason } = about;
  for (const [path, request] of Object.entries(requests)) {
    const none = absent();
    const toHidden = await received(request(api, hidden, own), hidden);
    t.deepEqual(toHidden, await received(request(api, none, own), none), path);
    t.like(toHidden, { reason, decoded: { resourceInfo: { resourceName: '<id>' } } }, path);
  }
}
