import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { isServiceError, reasonOf } from '@silo/errors/from-status.ts';
import { retry } from '@silo/runtime/retry.ts';

/**
 * Far more than a slow, busy machine takes. It costs nothing if the condition comes true: only a
 * failing test waits this long.
 */
const withinDefaultMs = 120_000;
/** Long waits check less often, to leave the processors to what they wait for. */
const [pauseMinMs, pauseMaxMs] = [10, 250];

/**
 * Calls `look` until it does not throw, and returns its result; after `withinMs` rejects with the
 * last error. Tests wait for a condition like this, never for a time.
 */
export async function eventually<T>(
  look: () => Promise<T> | T,
  withinMs = withinDefaultMs,
): Promise<T> {
  const end = performance.now() + withinMs;
  for (let pauseMs = pauseMinMs; ; pauseMs = Math.min(pauseMaxMs, 1.5 * pauseMs)) {
    try {
      return await look();
    } catch (error) {
      if (performance.now() > end) throw error;
    }
    await pause(pauseMs);
  }
}

/** Waits until `look` returns `expected`; the error reports the last value. */
export async function untilIs<T>(expected: T, look: () => Promise<T> | T): Promise<void> {
  await eventually(async () => assert.deepEqual(await look(), expected));
}

/** The reasons of a call that was too slow, or waited too long for others. */
const unanswered: ReadonlySet<string> = new Set([
  'DEPENDENCY_UNAVAILABLE',
  'CALL_ENDED',
  'PROPAGATION_UNCONFIRMED',
]);

/** Whether a call failed only because no response came in time, here or behind the service. */
export function isUnanswered(error: unknown): boolean {
  const reason = reasonOf(error);
  if (reason !== undefined) return unanswered.has(reason);
  if (!isServiceError(error)) return false;
  return error.code === status.UNAVAILABLE || error.code === status.DEADLINE_EXCEEDED;
}

/** `isUnanswered` for tests of propagation, in which an unconfirmed propagation is an answer. */
export function isLate(error: unknown): boolean {
  return isUnanswered(error) && reasonOf(error) !== 'PROPAGATION_UNCONFIRMED';
}

const triesMax = 20;

/**
 * Repeats a request if a service did not respond in time, as clients do: a busy machine is not a
 * failure. Each call must send the same request, with one request id.
 */
export async function untilAnswered<T>(
  call: () => Promise<T>,
  isRepeated: (error: unknown) => boolean = isUnanswered,
): Promise<T> {
  return await retry(call, {
    ...{ attemptsMax: triesMax, baseMs: 50, capMs: 2_000 },
    // After a repeat, the first attempt may still run.
    isRetryable: (error) => isRepeated(error) || reasonOf(error) === 'REQUEST_IN_PROGRESS',
    signal: AbortSignal.timeout(withinDefaultMs),
  });
}

/**
 * `untilAnswered` for operations that return their outcome, such as a command or an HTTP request:
 * repeats the operation while the outcome says that a service did not respond in time. Returns the
 * last outcome.
 */
export async function untilInTime<Outcome>(
  send: () => Promise<Outcome>,
  isUnanswered: (outcome: Outcome) => boolean | Promise<boolean>,
): Promise<Outcome> {
  for (let tries = 1; ; tries++) {
    const outcome = await send();
    if (tries === triesMax || !(await isUnanswered(outcome))) return outcome;
  }
}
