import { setMaxListeners } from 'node:events';
import { Authorization } from '@silo/access/authorization.ts';
import { errors } from '@silo/errors/errors.ts';
import { type FieldViolation, SiloError } from '@silo/errors/silo-error.ts';
import {
  type CaptureOutcome,
  CaptureResult,
} from '@silo/protos/gen/silo/project/v1/event_service.ts';
import type { RateLimits } from '@silo/rpc/rate-limits.ts';
import { takeWithin } from '@silo/runtime/budget.ts';
import { race } from '@silo/runtime/deadline.ts';
import { retry } from '@silo/runtime/retry.ts';
import { type CaptureDependencies, captureBatch } from '../capture/capture-batch.ts';
import { isAllowedOrigin } from '../rules/edge/allowed-origin.ts';
import { heldBytes, type SentEvent } from '../rules/events/check-event.ts';
import { type ForwardDependencies, forwardSome } from './forward.ts';
import type { Share } from './held-bytes.ts';
import {
  HttpRefusal,
  isHeld,
  isRateLimited,
  regionOf,
  sentViolation,
  violationText,
} from './http-refusal.ts';
import type { EdgeBatch } from './sender.ts';
import type { TokenGate } from './token-gate.ts';

export const failedPause = { baseMs: 50, capMs: 1_000 };
/** While a project is cut over: for 8 s at most, and to look again costs little. */
const heldPause = { baseMs: 100, capMs: 100 };
/** Of one capture; bytes as it counts them. */
const captureBounds = { countMax: 1_000, bytesMax: 8 * 1024 * 1024 };

/** What one request was counted for already. */
type Progress = { isCounted: boolean; isForwarded: boolean };

export type EdgeCaptureDependencies = ForwardDependencies & {
  gate: TokenGate;
  rates: RateLimits;
  capture: CaptureDependencies;
};

/** What a request holds. */
type CaptureShare = Disposable & Pick<Share, 'beginWait' | 'endWait'>;

/**
 * Stores the events of one request, and answers for each what became of it. Tries again for some
 * seconds where MongoDB or the guard does not answer: each time with the same UUIDs, and under a new
 * permit. Waits while the project is cut over to another region, and passes the events on where it
 * is in another one. Throws HttpRefusal or SiloError, at the latest when the time is over: what is then
 * still being stored continues under its permit. `share`, what the request holds, is disposed of when
 * nothing of it is being stored any more.
 */
export async function captureEdgeBatch(
  batch: EdgeBatch,
  share: CaptureShare,
  dependencies: EdgeCaptureDependencies & {
    /** Until then what fails is tried again. */
    signal: AbortSignal;
  },
): Promise<CaptureOutcome[]> {
  const { signal } = dependencies;
  let failure: unknown;
  const onRetry = (error: unknown) => {
    failure = error;
  };
  const outcomes = storeAll(batch, share, dependencies, { signal, onRetry });
  return await race(outcomes, signal).catch((error: unknown) => {
    if (error !== signal.reason) throw error;
    throw failure ?? errors.dependencyUnavailable('mongodb', error);
  });
}

async function storeAll(
  batch: EdgeBatch,
  share: CaptureShare,
  dependencies: EdgeCaptureDependencies,
  { signal, onRetry }: { signal: AbortSignal; onRetry(error: unknown): void },
): Promise<CaptureOutcome[]> {
  using _ = share;
  const outcomes: CaptureOutcome[] = [];
  // Each attempt listens for as long as it runs.
  setMaxListeners(0, signal);
  const progress: Progress = { isCounted: false, isForwarded: false };
  let isElsewhere = false;
  const attempt = async () => {
    const rest = { ...batch, events: batch.events.slice(outcomes.length) };
    try {
      return await storeSome(rest, dependencies, { signal, progress });
    } catch (error) {
      const region = regionOf(error);
      isElsewhere =
        region !== undefined || isHeld(error) || dependencies.gate.isElsewhere(batch.token);
      if (region === undefined) throw error;
      return await forwardSome(rest, region, dependencies, { signal, progress });
    }
  };
  // What waits for another region, or above the limits of its project, must not shut out others.
  const mayWait = (error: unknown) =>
    heals(error) &&
    (!(isElsewhere || isRateLimited(error)) ||
      share.beginWait(dependencies.gate.waitsFor(batch.token)));
  const retrying = { attemptsMax: Number.POSITIVE_INFINITY, signal, onRetry };
  const untilReleased = () =>
    retry(attempt, {
      ...{ ...retrying, ...heldPause },
      isRetryable: (error) => isHeld(error) && mayWait(error),
    });
  while (outcomes.length < batch.events.length) {
    const options = { ...retrying, ...failedPause, isRetryable: mayWait };
    outcomes.push(...(await retry(untilReleased, options)));
    share.endWait();
  }
  return outcomes;
}

/** Whether it may work in a moment. */
export function heals(error: unknown): boolean {
  return error instanceof SiloError && HttpRefusal.of(error).status === 503;
}

/** Stores the first of the events, as many as one capture may have. */
async function storeSome(
  { token, sender, events }: EdgeBatch,
  { gate, rates, capture }: EdgeCaptureDependencies,
  { signal, progress }: { signal: AbortSignal; progress: Progress },
): Promise<CaptureOutcome[]> {
  const permitted = await gate.permit(token, sender, signal);
  const authorization = new Authorization(permitted.permit);
  try {
    const { origin } = sender;
    const appUrls = permitted.project.capture?.appUrls ?? [];
    if (!isAllowedOrigin(origin || undefined, appUrls)) throw HttpRefusal.originNotAllowed(origin);
    if (!progress.isCounted) await rates.takeProject(permitted.projectId);
    progress.isCounted = true;
    const batch = { events: takeWithin(events, captureBounds, heldBytes), superProperties: '' };
    return await captureBatch(permitted, batch, { signal, authorization }, capture);
  } finally {
    authorization.release();
  }
}

/** Refused events whose violations one answer describes: a body may have 100,000 events. */
const describedMax = 100;
/** Characters of a name of an event. A UUID has 36, what is sent instead may have millions. */
const uuidLengthMax = 64;

const accepted = { result: 'ok' } as const;
const dropped = { result: 'drop' } as const;

type AnswerV0 = {
  status: 1;
  refused?: { uuid: string; violations: FieldViolation[] }[];
  refused_others?: number;
};

/** The answer of v0: success, with the first refused events and the number of the others. */
export function answerV0(
  events: readonly SentEvent[],
  outcomes: readonly CaptureOutcome[],
): AnswerV0 {
  const all = outcomes.flatMap((outcome, index) => (isRefused(outcome) ? [index] : []));
  if (all.length === 0) return { status: 1 };
  const refused = all.slice(0, describedMax).map((index) => ({
    uuid: nameOf(events[index]),
    violations: (outcomes[index]?.violations ?? []).map(sentViolation),
  }));
  const others = all.length - refused.length;
  return { status: 1, refused, ...(others > 0 && { refused_others: others }) };
}

/** The answer of v1: the result of every event by its UUID, with details of the first refused ones. */
export function answerV1(events: readonly SentEvent[], outcomes: readonly CaptureOutcome[]) {
  let described = 0;
  const resultOf = (outcome: CaptureOutcome) => {
    if (!isRefused(outcome)) return accepted;
    if (described++ >= describedMax) return dropped;
    return { ...dropped, details: outcome.violations.map(violationText).join('; ') };
  };
  const results: Record<string, { result: string; details?: string }> = Object.fromEntries(
    outcomes.map((outcome, index) => [nameOf(events[index]), resultOf(outcome)]),
  );
  return { results };
}

function isRefused({ result }: CaptureOutcome): boolean {
  return result === CaptureResult.CAPTURE_RESULT_REFUSED;
}

function nameOf(event: SentEvent | undefined): string {
  return event?.uuid.slice(0, uuidLengthMax) ?? '';
}
