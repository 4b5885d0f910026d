import { setMaxListeners } from 'node:events';
import { Authorization } from '@silo/access/authorization.ts';
import { errors } from '@silo/errors/errors.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import {
  type CaptureOutcome,
  CaptureResult,
} from '@silo/protos/gen/silo/project/v1/event_service.ts';
import type { RateLimits } from '@silo/rpc/rate-limits.ts';
import { takeWithin } from '@silo/runtime/budget.ts';
import { race } from '@silo/runtime/deadline.ts';
import { retry } from '@silo/runtime/retry.ts';
import { type CaptureUses, captureBatch } from '../handlers/shared/capture-batch.ts';
import { isAllowedOrigin } from '../rules/edge/allowed-origin.ts';
import { heldBytes, type SentEvent } from '../rules/events/check-event.ts';
import { HttpRefusal } from './http-refusal.ts';
import type { Sender, TokenGate } from './token-gate.ts';

const retryBaseMs = 50;
const retryCapMs = 1_000;
/** Of one capture; bytes as it counts them. */
const captureBounds = { countMax: 1_000, bytesMax: 8 * 1024 * 1024 };

/** The events of one request, whose origin is a browser's. */
export type EdgeBatch = { token: string; sender: Sender; events: readonly SentEvent[] };

export type EdgeCaptureUses = {
  gate: TokenGate;
  rates: RateLimits;
  capture: CaptureUses;
  /** How long a request waits at most: until then what fails is tried again. */
  holdMs: number;
};

/**
 * Stores the events of one request, and answers for each what became of it. Tries again for some
 * seconds where MongoDB or the guard does not answer: each time with the same UUIDs, and under a new
 * permit. Throws HttpRefusal or SiloError, at the latest when the time is over: what is then still
 * being stored continues under its permit. `held`, what the request holds, is disposed of when
 * nothing of it is being stored any more.
 */
export async function captureEdgeBatch(
  batch: EdgeBatch,
  held: Disposable,
  uses: EdgeCaptureUses,
): Promise<CaptureOutcome[]> {
  const signal = AbortSignal.timeout(uses.holdMs);
  const outcomes = storeAll(batch, held, uses, signal);
  return await race(outcomes, signal).catch((error: unknown) => {
    throw error === signal.reason ? errors.dependencyUnavailable('mongodb', error) : error;
  });
}

async function storeAll(
  { token, sender, events }: EdgeBatch,
  held: Disposable,
  uses: EdgeCaptureUses,
  signal: AbortSignal,
): Promise<CaptureOutcome[]> {
  using _ = held;
  const outcomes: CaptureOutcome[] = [];
  // Each attempt listens for as long as it runs.
  setMaxListeners(0, signal);
  let isCounted = false;
  const attempt = async () => {
    const permitted = await uses.gate.permit(token, sender, signal);
    const authorization = new Authorization(permitted.permit);
    try {
      const { origin } = sender;
      const appUrls = permitted.project.capture?.appUrls ?? [];
      if (!isAllowedOrigin(origin || undefined, appUrls))
        throw HttpRefusal.originNotAllowed(origin);
      if (!isCounted) await uses.rates.takeProject(permitted.projectId);
      isCounted = true;
      const some = takeWithin(events.slice(outcomes.length), captureBounds, heldBytes);
      const batch = { events: some, superProperties: '' };
      outcomes.push(
        ...(await captureBatch(permitted, batch, { signal, authorization }, uses.capture)),
      );
    } finally {
      authorization.release();
    }
  };
  while (outcomes.length < events.length) {
    await retry(attempt, {
      attemptsMax: Number.POSITIVE_INFINITY,
      ...{ baseMs: retryBaseMs, capMs: retryCapMs, signal },
      isRetryable: (error) => error instanceof SiloError && HttpRefusal.of(error).status === 503,
    });
  }
  return outcomes;
}

/** The answer of v0: what was refused is named, and lost by its own fault. */
export function answerV0(events: readonly SentEvent[], outcomes: readonly CaptureOutcome[]) {
  const refused = outcomes.flatMap(({ result, violations }, index) =>
    result === CaptureResult.CAPTURE_RESULT_REFUSED
      ? [{ uuid: events[index]?.uuid, violations }]
      : [],
  );
  return refused.length === 0 ? { status: 1 } : { status: 1, refused };
}

/** The answer of v1: every event by its UUID. */
export function answerV1(events: readonly SentEvent[], outcomes: readonly CaptureOutcome[]) {
  const results = outcomes.map(({ result, violations }, index): [string, object] => {
    const uuid = events[index]?.uuid ?? '';
    if (result !== CaptureResult.CAPTURE_RESULT_REFUSED) return [uuid, { result: 'ok' }];
    const details = violations.map(({ field, description }) => `${field} ${description}`);
    return [uuid, { result: 'drop', details: details.join('; ') }];
  });
  return { results: Object.fromEntries(results) };
}
