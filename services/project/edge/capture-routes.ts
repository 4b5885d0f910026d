import { randomBytes } from 'node:crypto';
import { errors } from '@silo/errors/errors.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import { retry } from '@silo/runtime/retry.ts';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import {
  bearerToken,
  type CaptureBody,
  eventsMax,
  readCaptureBody,
  tokenAtEnd,
  tokenAtStart,
} from '../rules/edge/capture-body.ts';
import { sentEvent } from '../rules/edge/sent-event.ts';
import { timeOrderedUuid } from '../rules/events/uuid.ts';
import {
  answerV0,
  answerV1,
  captureEdgeBatch,
  type EdgeCaptureDependencies,
  failedPause,
  heals,
} from './capture.ts';
import type { EdgeMetrics } from './edge-metrics.ts';
import type { HeldBytes, Share } from './held-bytes.ts';
import { HttpRefusal } from './http-refusal.ts';
import { readAtCost } from './read-at-cost.ts';
import { noteToken } from './refusal-lines.ts';
import { type EdgeBatch, headerOf, senderOf } from './sender.ts';
import type { Sender } from './token-gate.ts';

/** Dependencies of the routes that take events. */
export type CaptureRouteDependencies = EdgeCaptureDependencies & {
  held: HeldBytes;
  /** Maximum time that a request waits after its body has arrived. */
  waitMs: number;
  metrics: EdgeMetrics;
  clock: Clock;
};

const v0Paths = ['/batch', '/e', '/capture', '/i/v0/e'];
const v1Path = '/i/v1/analytics/events';
/** Memory of one event besides its text. */
const eventBytes = 192;
/**
 * Maximum number of events in a body that is parsed before its token is confirmed: parsing costs
 * little, and the permit alone confirms the token.
 */
const unconfirmedMax = 1_000;

/** Adds the routes to which SDKs send events. */
export function addCaptureRoutes(
  app: FastifyInstance,
  dependencies: CaptureRouteDependencies,
): void {
  for (const path of v0Paths) app.post(path, (request) => capture(request, false, dependencies));
  app.post(v1Path, (request) => capture(request, true, dependencies));
}

async function capture(
  request: FastifyRequest,
  isV1: boolean,
  dependencies: CaptureRouteDependencies,
): Promise<object> {
  const { gate, held, metrics } = dependencies;
  const sender = senderOf(request);
  const bearer = bearerToken(request.headers.authorization);
  if (bearer !== undefined) noteToken(request, bearer);
  if (isV1 && bearer !== undefined) gate.refuseKnown(bearer, sender);
  using owned = new DisposableStack();
  const share = owned.use(held.begin(sender.network));
  const isGood = (part: string, at: 'start' | 'end') => {
    const tokenIn = at === 'start' ? tokenAtStart : tokenAtEnd;
    const token = isV1 && bearer !== undefined ? bearer : tokenIn(part);
    if (token === undefined) return false;
    noteToken(request, token);
    gate.refuseKnown(token, sender);
    return gate.isKnown(token);
  };
  const reading = { ...dependencies, isGood };
  const { batch, signal } = await readAtCost(request.raw, sender, share, reading, async (text) => {
    const signal = AbortSignal.timeout(dependencies.waitMs);
    const about = { request, isV1, sender, bearer, receiveTime: dependencies.clock.now() };
    const read = batchUnlessUnconfirmed(text, about, gate);
    if (typeof read !== 'string') return { batch: read, signal };
    // The parsed body needs many times the memory of its text. Do not keep it while waiting.
    await confirm(read, sender, share, { ...dependencies, signal });
    return { batch: eventsOf(bodyIn(text), read, about), signal };
  });
  share.grow(batch.events.length * eventBytes);
  // From here on the share lasts as long as the work, which may continue after the response.
  owned.move();
  const outcomes = await captureEdgeBatch(batch, share, { ...dependencies, signal });
  metrics.captured(outcomes);
  return isV1 ? answerV1(batch.events, outcomes) : answerV0(batch.events, outcomes);
}

/**
 * Resolves when the token is confirmed. Throws if the token is dead, or if an error persists until
 * the deadline.
 */
async function confirm(
  token: string,
  sender: Sender,
  share: Share,
  { gate, signal }: { gate: CaptureRouteDependencies['gate']; signal: AbortSignal },
): Promise<void> {
  let failure: unknown;
  const confirming = retry(() => gate.confirm(token, sender, signal), {
    ...{ attemptsMax: Number.POSITIVE_INFINITY, ...failedPause, signal },
    isRetryable: (error) =>
      heals(error) && (!gate.isElsewhere(token) || share.beginWait(gate.waitsFor(token))),
    onRetry: (error) => {
      failure = error;
    },
  });
  await confirming
    .catch((error: unknown) => {
      if (error !== signal.reason) throw error;
      throw failure ?? errors.dependencyUnavailable('the access registry');
    })
    .finally(() => share.endWait());
}

type About = {
  request: FastifyRequest;
  isV1: boolean;
  sender: Sender;
  bearer: string | undefined;
  /** Time at which the whole body had arrived. */
  receiveTime: Date;
};

/**
 * Returns the events of a body. Returns the token instead if it has to be confirmed first: memory
 * does not know it, and the body has many events or none. Without events no permit is taken.
 */
function batchUnlessUnconfirmed(
  text: string,
  about: About,
  gate: CaptureRouteDependencies['gate'],
): EdgeBatch | string {
  const { isV1, sender, bearer } = about;
  const body = bodyIn(text);
  const token = isV1 ? (bearer ?? body.token) : (body.token ?? bearer);
  if (token === undefined) throw HttpRefusal.tokenInvalid;
  noteToken(about.request, token);
  gate.refuseKnown(token, sender);
  const { length } = body.events;
  const isToConfirm = (length === 0 || length > unconfirmedMax) && !gate.isKnown(token);
  return isToConfirm ? token : eventsOf(body, token, about);
}

function bodyIn(text: string): CaptureBody {
  const body = readCaptureBody(text);
  if (body === undefined) throw HttpRefusal.badBody(`is not JSON with at most ${eventsMax} events`);
  return body;
}

/** Converts a body to events of CaptureEvents, so that the parsed body can be garbage-collected. */
function eventsOf(
  body: CaptureBody,
  token: string,
  { request, isV1, sender, receiveTime }: About,
): EdgeBatch {
  const context = {
    // Only v1 sends the time of the request in a header.
    ...{ token, receiveTime, sentAt: body.sentAt || headerOf(request, sentAtHeader) || '' },
    ...{ isHistorical: body.isHistorical, address: sender.address },
    newUuid: () => timeOrderedUuid(receiveTime, randomBytes(10)),
    library: isV1 ? headerOf(request, 'posthog-sdk-info') : undefined,
  };
  return { token, sender, events: body.events.map((event) => sentEvent(event, context)) };
}

const sentAtHeader = 'posthog-request-timestamp';
