import { randomBytes } from 'node:crypto';
import type { Clock } from '@silo/runtime/clock.ts';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { bearerToken, readCaptureBody, tokenAtStart } from '../rules/edge/capture-body.ts';
import { sentEvent } from '../rules/edge/sent-event.ts';
import { timeOrderedUuid } from '../rules/events/uuid.ts';
import {
  answerV0,
  answerV1,
  captureEdgeBatch,
  type EdgeBatch,
  type EdgeCaptureUses,
} from './capture.ts';
import type { EdgeMetrics } from './edge-metrics.ts';
import type { HeldBytes } from './held-bytes.ts';
import { HttpRefusal } from './http-refusal.ts';
import { readBody } from './read-body.ts';
import { headerOf, senderOf } from './sender.ts';
import type { Sender } from './token-gate.ts';

/** What the routes that take events use. */
export type CaptureRouteUses = EdgeCaptureUses & {
  held: HeldBytes;
  metrics: EdgeMetrics;
  clock: Clock;
};

const v0Paths = ['/batch', '/e', '/capture', '/i/v0/e'];
const v1Path = '/i/v1/analytics/events';

/** Adds the routes to which SDKs send events. */
export function addCaptureRoutes(app: FastifyInstance, uses: CaptureRouteUses): void {
  for (const path of v0Paths) app.post(path, (request) => capture(request, false, uses));
  app.post(v1Path, (request) => capture(request, true, uses));
}

async function capture(
  request: FastifyRequest,
  isV1: boolean,
  uses: CaptureRouteUses,
): Promise<object> {
  const { gate, held, metrics } = uses;
  const sender = senderOf(request);
  const bearer = bearerToken(request.headers.authorization);
  if (isV1 && bearer !== undefined) gate.refuseKnown(bearer, sender);
  using owned = new DisposableStack();
  const share = owned.use(held.begin());
  const text = await readBody(request.raw, share, (start) => {
    const token = isV1 && bearer !== undefined ? bearer : tokenAtStart(start);
    if (token !== undefined) gate.refuseKnown(token, sender);
  });
  const batch = batchOf(text, request, { isV1, sender, bearer }, uses);
  // From here on the share lasts as long as the work, which may go on after the answer.
  const outcomes = await captureEdgeBatch(batch, owned.move(), uses);
  metrics.captured(outcomes);
  return isV1 ? answerV1(batch.events, outcomes) : answerV0(batch.events, outcomes);
}

/** What a body says, as events of CaptureEvents: what it was parsed to can be collected then. */
function batchOf(
  text: string,
  request: FastifyRequest,
  { isV1, sender, bearer }: { isV1: boolean; sender: Sender; bearer: string | undefined },
  { gate, clock }: CaptureRouteUses,
): EdgeBatch {
  const receiveTime = clock.now();
  const body = readCaptureBody(text);
  if (body === undefined) throw HttpRefusal.badBody('is not JSON with events');
  const token = isV1 ? (bearer ?? body.token) : (body.token ?? bearer);
  if (token === undefined) throw HttpRefusal.tokenInvalid;
  gate.refuseKnown(token, sender);
  const context = {
    // Only v1 says in a header when it sent the request.
    ...{ token, receiveTime, sentAt: body.sentAt || headerOf(request, sentAtHeader) || '' },
    ...{ isHistorical: body.isHistorical, address: sender.address },
    newUuid: () => timeOrderedUuid(receiveTime, randomBytes(10)),
    library: isV1 ? headerOf(request, 'posthog-sdk-info') : undefined,
  };
  return { token, sender, events: body.events.map((event) => sentEvent(event, context)) };
}

const sentAtHeader = 'posthog-request-timestamp';
