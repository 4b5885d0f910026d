import type { IncomingHttpHeaders } from 'node:http2';

const header = 'grpc-timeout';
const timerMaxMs = 2 ** 31 - 1;
const unitsMs: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1 };

/**
 * Removes a deadline that is later than Node's timers support, 24.8 days. grpc-js 1.14.7 truncates
 * its milliseconds to 32 bits, so such a call would end at once, or weeks too early. The call still
 * ends at its client's deadline, when the client cancels it, or when the server ends it.
 */
export function dropLongDeadline(headers: IncomingHttpHeaders): void {
  const value = headers[header];
  if (typeof value !== 'string') return;
  // The format of the gRPC protocol: at most 8 digits and a unit.
  const [, digits, unit = ''] = /^(\d{1,8})([HMSm])$/.exec(value) ?? [];
  if (Number(digits) * (unitsMs[unit] ?? 0) > timerMaxMs) delete headers[header];
}
