import { instantOf } from '../events/timestamp.ts';

/**
 * If an SDK resends a body minutes later, the body may still have the time of the first attempt.
 */
const skewMsMax = 10 * 60_000;

/**
 * The time of an event by the server's clock. `sentAt` is the time of the request by the SDK's
 * clock. If it differs from the time of receipt by more than a resend explains, the SDK's clock is
 * wrong, and the event's time is corrected by the difference, in UTC with milliseconds. Otherwise
 * returns the text as sent.
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
