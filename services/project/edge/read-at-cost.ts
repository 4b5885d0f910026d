import type { IncomingMessage } from 'node:http';
import type { RateLimits } from '@silo/rpc/rate-limits.ts';
import type { Share } from './held-bytes.ts';
import { HttpRefusal } from './http-refusal.ts';
import { readBody } from './read-body.ts';
import type { Sender } from './token-gate.ts';

/** What less than this costs is little beside its request. */
const freeBytes = 64 * 1_024;
/** To parse so much takes about as long as to answer a request: of what takes longest to parse. */
const pointBytes = 4 * 1_024;

type Dependencies = {
  rates: Pick<RateLimits, 'takeAddress'>;
  /** Whether the beginning, or the end, of a body shows a good token. What it throws ends the reading. */
  isGood(part: string, at: 'start' | 'end'): boolean;
};

/**
 * What `work` makes of a request's body, as `readBody` reads it. To unpack and to parse a body costs CPU
 * before it is known whether its token is good. So a large one that is refused with 4xx costs its address
 * points by its size, and where these are used up the next large one is refused with RATE_LIMITED before
 * that. Bodies that begin or end with a good token have points of their own, whatever else comes from
 * that address.
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
    // Again: many may have been unpacked at once.
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
