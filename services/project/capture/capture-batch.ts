import { randomBytes } from 'node:crypto';
import { errors } from '@silo/errors/errors.ts';
import type { FieldViolation } from '@silo/errors/silo-error.ts';
import {
  type CaptureEventsRequest,
  type CaptureOutcome,
  CaptureResult,
} from '@silo/protos/gen/silo/project/v1/event_service.ts';
import type { Call, TokenCaller } from '@silo/rpc/call.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import { withoutIp } from '../rules/events/anonymize-ip.ts';
import {
  type CheckedEvent,
  checkEvent,
  checkSuperProperties,
  heldBytes,
} from '../rules/events/check-event.ts';
import { generationOf } from '../rules/events/deletions.ts';
import { type Places, placesWith } from '../rules/events/indexed-properties.ts';
import { timeOrderedUuid } from '../rules/events/uuid.ts';
import type { Storing } from './storing.ts';

const eventsMax = 1_000;
/** Maximum bytes of all properties of a batch, with the super properties in each event. */
const mergedBytesMax = 16 * 1024 * 1024;

export type CaptureDependencies = { storing: Storing; clock: Clock };

/** The verified project token of a capture, with its permit. */
export type CapturingToken = Omit<TokenCaller, 'kind'>;

/** The events of one capture, and the properties that are added to each. */
export type Batch = Pick<CaptureEventsRequest, 'events' | 'superProperties'>;

/**
 * Stores a batch under the permit that came with the token: writes to MongoDB end before the permit
 * does, so that a revocation that waits for the permit also waits for the events. Returns the
 * outcome of each event. If it is unknown whether events are stored, leaves the permits of the call
 * to expire; the caller then releases the others.
 * Refuses with INVALID_FIELD, RATE_LIMITED, DEPENDENCY_UNAVAILABLE.
 */
export async function captureBatch(
  token: CapturingToken,
  batch: Batch,
  call: Pick<Call, 'signal' | 'authorization'>,
  dependencies: CaptureDependencies,
): Promise<CaptureOutcome[]> {
  const { storing, clock } = dependencies;
  const receiveTime = clock.now();
  const { anonymizeIps = false, indexedProperties = [] } = token.project.capture ?? {};
  const sent = anonymizeIps ? withoutIps(batch) : batch;
  const checked = checkBatch(sent, receiveTime, placesWith(indexedProperties));
  const accepted = checked.flatMap((each) => ('event' in each ? [each.event] : []));
  const bytes = accepted.reduce((sum, event) => sum + heldBytes(event), 0);
  if (bytes > mergedBytesMax) {
    const description = `must not increase the batch to more than ${mergedBytesMax} bytes`;
    throw errors.invalidField([{ field: 'super_properties', description }]);
  }
  const { projectId, organizationId, permit } = token;
  const generation = generationOf(token.project);
  const events = { projectId, organizationId, receiveTime, generation, events: accepted };
  const isThere = (await storing.store(events, { bytes, permit }, call)).values();
  return checked.map((each) =>
    'event' in each ? stored(each.event, isThere.next().value === true) : refused(each.violations),
  );
}

function withoutIps({ events, superProperties }: Batch): Batch {
  return {
    events: events.map((event) => ({ ...event, properties: withoutIp(event.properties) })),
    superProperties: withoutIp(superProperties),
  };
}

function checkBatch(
  { events, superProperties: sent }: Batch,
  receiveTime: Date,
  places: Places,
): ReturnType<typeof checkEvent>[] {
  if (events.length === 0 || events.length > eventsMax) {
    const description = `must have 1-${eventsMax} events`;
    throw errors.invalidField([{ field: 'events', description }]);
  }
  const read = checkSuperProperties(sent);
  if ('violations' in read) throw errors.invalidField(read.violations);
  const newUuid = () => timeOrderedUuid(receiveTime, randomBytes(10));
  const context = { receiveTime, superProperties: read.superProperties, newUuid, places };
  return events.map((event) => checkEvent(event, context));
}

function stored({ uuid }: CheckedEvent, isDuplicate: boolean): CaptureOutcome {
  const result = isDuplicate
    ? CaptureResult.CAPTURE_RESULT_DUPLICATE
    : CaptureResult.CAPTURE_RESULT_STORED;
  return { uuid, result, violations: [] };
}

function refused(violations: FieldViolation[]): CaptureOutcome {
  return { uuid: '', result: CaptureResult.CAPTURE_RESULT_REFUSED, violations };
}
