import { instantOf } from '../events/timestamp.ts';

/** A body that an SDK sends again, minutes later, may still say when it was sent first. */
const skewMsMax = 10 * 60_000;

/**
 * When an event happened, by the server's clock. An SDK says when it sent the body (`sentAt`, by its
 * own clock): where that is further from the time of receipt than a resend explains, the SDK's clock
 * is wrong, and the event's time is moved by as much, to milliseconds in UTC. Else the text as sent.
 */
export function withoutSkew(timestamp: string, sentAt: string, receiveTime: Date): string {
  const sent = instantOf(sentAt);
  const happened = instantOf(timestamp);
  if (sent === undefined || happened === undefined) return timestamp;
  const skewMs = receiveTime.getTime() - sent.getTime();
  if (Math.abs(skewMs) <= skewMsMax) return timestamp;
  const moved = new Date(happened.getTime() + skewMs).toISOString();
  return instantOf(moved) === undefined ? timestamp : moved;
}
