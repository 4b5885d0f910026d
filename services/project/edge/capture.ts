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
/**
 * Pause between attempts while a project is cut over. A cutover takes at most 8 s, and an attempt
 * costs little.
 */
const heldPause = { baseMs: 100, capMs: 100 };
/** Limits of one capture; `heldBytes` counts the bytes. */
const captureBounds = { countMax: 1_000, bytesMax: 8 * 1024 * 1024 };

/** Whether one request was already counted against the rate limit and as forwarded. */
type Progress = { isCounted: boolean; isForwarded: boolean };

export type EdgeCaptureDependencies = ForwardDependencies & {
  gate: TokenGate;
  rates: RateLimits;
  capture: CaptureDependencies;
};

/** The share of memory that a request holds. */
type CaptureShare = Disposable & Pick<Share, 'beginWait' | 'endWait'>;

/**
 * Stores the events of one request, and returns the outcome of each. If MongoDB or the guard does
 * not answer, retries for some seconds with the same UUIDs and a new permit. Waits while the
 * project is cut over to another region, and forwards the events if the project is in another
 * region. Throws HttpRefusal or SiloError, at the latest when `signal` aborts; transactions that
 * are still running then continue under their permits. Disposes of `share`, the memory of the
 * request, when no event of it is being stored any more.
 */
export async function captureEdgeBatch(
  batch: EdgeBatch,
  share: CaptureShare,
  dependencies: EdgeCaptureDependencies & {
    /** Ends the retries. */
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
  // Each attempt adds listeners while it runs.
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
  // Requests that wait for another region, or for the rate limit of their project, must not block
  // others.
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

/** Whether a retry may succeed soon. */
export function heals(error: unknown): boolean {
  return error instanceof SiloError && HttpRefusal.of(error).status === 503;
}

/** Stores the first events, as many as fit into one capture. */
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

/**
 * Maximum number of refused events whose violations one response describes: a body may have 100,000
 * events.
 */
const describedMax = 100;
/**
 * Maximum number of characters of an event's key in the response. A UUID has 36, but a client may
 * send millions.
 */
const uuidLengthMax = 64;

const accepted = { result: 'ok' } as const;
const dropped = { result: 'drop' } as const;

type AnswerV0 = {
  status: 1;
  refused?: { uuid: string; violations: FieldViolation[] }[];
  refused_others?: number;
};

/** The response of v0: success, with the first refused events and the number of the others. */
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

/**
 * The response of v1: the result of every event by its UUID, with details of the first refused
 * ones.
 */
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
