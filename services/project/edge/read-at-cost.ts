import type { IncomingMessage } from 'node:http';
import type { RateLimits } from '@silo/rpc/rate-limits.ts';
import type { Share } from './held-bytes.ts';
import { HttpRefusal } from './http-refusal.ts';
import { readBody } from './read-body.ts';
import type { Sender } from './token-gate.ts';

/** Bodies below this size are free: parsing costs little compared with the request. */
const freeBytes = 64 * 1_024;
/**
 * Bytes per point. Parsing this much of the slowest kind of body takes about as long as a whole
 * small request.
 */
const pointBytes = 4 * 1_024;

type Dependencies = {
  rates: Pick<RateLimits, 'takeAddress'>;
  /**
   * Whether the beginning or the end of a body contains a valid token. An error that it throws ends
   * the reading.
   */
  isGood(part: string, at: 'start' | 'end'): boolean;
};

/**
 * Reads a request's body as `readBody` does, and returns the result of `work`. Unpacking and
 * parsing cost CPU before the token is verified. So a large body that is refused with 4xx costs its
 * address points by its size; when an address has no points left, its next large body is refused
 * with RATE_LIMITED before it is unpacked. Bodies that begin or end with a valid token use separate
 * points, regardless of other requests of the address.
 */
export async function readAtCost<T>(
  request: IncomingMessage,
  { network }: Sender,
  share: Share,
  { rates, isGood }: Dependencies,
  work: (text: string) => Promise<T>,
): Promise<T> {
  let payer = network;
  let sizeBytes = 0;
  const demandPoints = async (bytes: number) => {
    sizeBytes = bytes;
    if (bytes > freeBytes) await rates.takeAddress(payer, 0);
  };
  const look = (at: 'start' | 'end') => (part: string) => {
    if (isGood(part, at)) payer = `${network} good`;
  };
  try {
    const looks = { onStart: look('start'), onEnd: look('end') };
    const text = await readBody(request, share, { ...looks, beforeUnpacking: demandPoints });
    // Check again: many bodies may have been unpacked at the same time.
    await demandPoints(sizeBytes);
    return await work(text);
  } catch (error) {
    const isInVain = error instanceof HttpRefusal && error.status !== 503;
    if (isInVain && sizeBytes > freeBytes) {
      await rates.takeAddress(payer, Math.ceil(sizeBytes / pointBytes)).catch(() => {});
    }
    throw error;
  }
}
