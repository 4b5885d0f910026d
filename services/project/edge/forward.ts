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

/**
 * The field of ForwardCapture that is invalid if the project does not accept events from the
 * origin.
 */
const originField = 'origin';
/** Limits of one message, which may have 4 MiB: an event counts as 2 KiB more than its texts. */
const forwardBounds = { countMax: 1_000, bytesMax: 3 * 1024 * 1024 };
/** The other region gives up storing after 5 s. */
const deadlineMs = 6_000;
/** Deadline of the request that asks whether the other region holds the project. */
const askMsMax = 1_000;

export type ForwardDependencies = {
  gate: TokenGate;
  heldElsewhere: Pick<HeldElsewhere, 'pass'>;
  metrics: Pick<EdgeMetrics, 'forwarded'>;
  clock: Pick<Clock, 'now'>;
  /** Clients of the project service in the other regions. */
  regions: ReadonlyMap<string, Pick<RegionClient, 'forwardCapture'>>;
  /**
   * Receives each request whose captures are forwarded; names the project if another region did.
   */
  onDeadToken(request: DeadTokenRequest): void;
};

/**
 * Forwards the first events to the region of the project, as many as fit into one message, and
 * returns the outcome of each there. If the project has left that region, tries once more at its
 * next region. Throws HttpRefusal or SiloError: NOT_READY while the project is cut over there.
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

/**
 * Ignores INVALID_ARGUMENT: a request with the events gets the same error again, and an older
 * release refuses a request without events.
 */
function throwUnlessInvalid(error: unknown): void {
  const isInvalid = error instanceof SiloError && error.code === status.INVALID_ARGUMENT;
  if (!isInvalid) throw error;
}

/**
 * Cuts a header to the length that ForwardCapture takes. Redacts first: a cut secret would not be
 * found.
 */
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
  // The project went back or left again: this region will know soon.
  if (regionOf(error) !== undefined) {
    return errors.notReady('the project', 'is being cut over to another region');
  }
  const isOfOrigin = error.details.badRequest?.[0]?.field === originField;
  return isOfOrigin ? HttpRefusal.originNotAllowed(origin) : error;
}
