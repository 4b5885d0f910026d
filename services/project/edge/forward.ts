import { status } from '@grpc/grpc-js';
import { errors } from '@silo/errors/errors.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import {
  type CaptureOutcome,
  CaptureResult,
} from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { takeWithin } from '@silo/runtime/budget.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import { redactText } from '@silo/runtime/redact.ts';
import type { RegionClient } from '@silo/service/regions.ts';
import { hashOf } from '@silo/tokens/secrets.ts';
import type { DeadTokenRequest } from '../capture/dead-token-counter.ts';
import { checkEvent, heldBytes, type SentEvent } from '../rules/events/check-event.ts';
import { placesWith } from '../rules/events/indexed-properties.ts';
import type { EdgeMetrics } from './edge-metrics.ts';
import type { HeldElsewhere } from './held-elsewhere.ts';
import { HttpRefusal, isTokenInvalid, regionOf } from './http-refusal.ts';
import type { EdgeBatch } from './sender.ts';
import type { Sender, TokenGate } from './token-gate.ts';

/** The field of ForwardCapture that is invalid where the project does not take events from there. */
const originField = 'origin';
/** Of one message, which may have 4 MiB: an event counts with 2 KiB more than its texts. */
const forwardBounds = { countMax: 1_000, bytesMax: 3 * 1024 * 1024 };
/** The other region gives up storing after 5 s. */
const deadlineMs = 6_000;
/** Of the question whether it holds the project. */
const askMsMax = 1_000;

export type ForwardDependencies = {
  gate: TokenGate;
  heldElsewhere: Pick<HeldElsewhere, 'pass'>;
  metrics: Pick<EdgeMetrics, 'forwarded'>;
  clock: Pick<Clock, 'now'>;
  /** Project in the other regions. */
  regions: ReadonlyMap<string, Pick<RegionClient, 'forwardCapture'>>;
  /** Receives each request whose captures are forwarded; names the project if another region did. */
  onDeadToken(request: DeadTokenRequest): void;
};

/**
 * Passes the first of the events on to the region where the project is, as many as one message may
 * have, and answers for each what became of it there. Once more where the project has moved on. Throws
 * HttpRefusal or SiloError: NOT_READY while the project is cut over there.
 */
export async function forwardSome(
  { token, sender, events }: EdgeBatch,
  region: string,
  { gate, heldElsewhere, metrics, clock, regions, onDeadToken }: ForwardDependencies,
  { signal, progress }: { signal: AbortSignal; progress: { isForwarded: boolean } },
): Promise<CaptureOutcome[]> {
  const some = takeWithin(events, forwardBounds, heldBytes);
  const [first] = some;
  if (first !== undefined && heldBytes(first) > forwardBounds.bytesMax)
    return [refused(first, clock.now())];
  const { origin, library } = sender;
  const whose = { token, origin: cut(origin), library: cut(library) };
  const sendTo = async (to: string): Promise<CaptureOutcome[]> => {
    const client = regions.get(to);
    if (client === undefined) throw errors.dependencyUnavailable(`the region ${to}`);
    const capture = (events: SentEvent[], ofCall: { deadlineMs: number }) => {
      const request = { ...whose, capture: { events, superProperties: '' } };
      return client.forwardCapture(request, { signal, ...ofCall });
    };
    const { outcomes } = await heldElsewhere.pass(to, token, {
      ask: async () => {
        await capture([], { deadlineMs: askMsMax }).catch(throwUnlessInvalid);
      },
      send: () => capture(some, { deadlineMs }),
    });
    if (outcomes.length !== some.length) throw errors.dependencyUnavailable(`the region ${to}`);
    metrics.forwarded(to, some.length);
    if (!progress.isForwarded) {
      const projectId = gate.projectElsewhere(token);
      onDeadToken({
        ...{ tokenHash: hashOf(token), library, origin, forwardedRegion: to },
        ...(projectId !== undefined && { projectId }),
      });
    }
    progress.isForwarded = true;
    return outcomes;
  };
  try {
    return await sendTo(region).catch((error: unknown) => {
      const next = regionOf(error);
      if (next === undefined || next === region || !regions.has(next)) throw error;
      return sendTo(next);
    });
  } catch (error) {
    if (signal.aborted) throw error;
    if (isTokenInvalid(error)) gate.refuseThere(token, sender);
    if (regionOf(error) !== undefined) gate.forgetPlace(token);
    throw refusalOf(error, region, sender);
  }
}

/** What is invalid is refused once more with the events; an older release refuses that there are none. */
function throwUnlessInvalid(error: unknown): void {
  const isInvalid = error instanceof SiloError && error.code === status.INVALID_ARGUMENT;
  if (!isInvalid) throw error;
}

/** As much of a header as ForwardCapture takes. A secret must not be cut before it is found. */
function cut(text: string): string {
  return redactText(text).slice(0, 2_000);
}

/** The outcome of an event that is larger than the rules allow. */
function refused(event: SentEvent, receiveTime: Date): CaptureOutcome {
  const context = { receiveTime, superProperties: undefined, places: placesWith([]) };
  const checked = checkEvent(event, { ...context, newUuid: () => event.uuid });
  const violations = 'violations' in checked ? checked.violations : [];
  return { uuid: '', result: CaptureResult.CAPTURE_RESULT_REFUSED, violations };
}

function refusalOf(error: unknown, region: string, { origin }: Sender): Error {
  if (!(error instanceof SiloError)) {
    return errors.dependencyUnavailable(`the region ${region}`, error);
  }
  // It went back, or on again: this region knows soon.
  if (regionOf(error) !== undefined) {
    return errors.notReady('the project', 'is being cut over to another region');
  }
  const isOfOrigin = error.details.badRequest?.[0]?.field === originField;
  return isOfOrigin ? HttpRefusal.originNotAllowed(origin) : error;
}
