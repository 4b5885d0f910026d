import type { IncomingHttpHeaders } from 'node:http2';

const header = 'grpc-timeout';
const timerMaxMs = 2 ** 31 - 1;
const unitsMs: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1 };

/**
 * Takes a deadline off a call that is further away than Node's timers reach, 24.8 days. grpc-js
 * 1.14.7 cuts its milliseconds to 32 bits: such a call would end at once, or weeks too early. It
 * ends when its client's deadline does, because the client cancels it then, or when we end it.
 */
export function dropLongDeadline(headers: IncomingHttpHeaders): void {
  const value = headers[header];
  if (typeof value !== 'string') return;
  // As the gRPC protocol writes it: at most 8 digits and a unit.
  const [, digits, unit = ''] = /^(\d{1,8})([HMSm])$/.exec(value) ?? [];
  if (Number(digits) * (unitsMs[unit] ?? 0) > timerMaxMs) delete headers[header];
}
