import { randomBytes } from 'node:crypto';
import { errors } from '@silo/errors/errors.ts';
import type { FieldViolation } from '@silo/errors/silo-error.ts';
import {
  type CaptureEventsRequest,
  type CaptureOutcome,
  CaptureResult,
} from '@silo/protos/gen/silo/project/v1/event_service.ts';
import type { Call, TokenCaller } from '@silo/rpc/call.ts';
import { takeWithin } from '@silo/runtime/budget.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import { limit } from '@silo/runtime/limit.ts';
import {
  type CheckedEvent,
  checkEvent,
  checkSuperProperties,
} from '../../rules/events/check-event.ts';
import { timeOrderedUuid } from '../../rules/events/uuid.ts';
import type { CapturedEventStore } from '../../store/captured-events.ts';

const eventsMax = 1_000;
/** Of all properties of a batch, with the super properties in each event. */
const mergedBytesMax = 16 * 1024 * 1024;
/** What one command may hold: MongoDB takes 16 MiB. */
const commandBounds = { countMax: eventsMax, bytesMax: 8 * 1024 * 1024 };
/** Others need connections to MongoDB too. */
const commandsAtOnce = 16;
const waitingMax = 256;
/** What all batches of this process hold that are being stored. */
const storingBytesMax = 64 * 1024 * 1024;
const writeMsMax = 5_000;
const writeMsMin = 50;
const retryMs = 1_000;

/** What the batches of one process share: their turns, and the memory that they hold. */
export type Storing = { inTurn: ReturnType<typeof limit>; bytes: number };

export function createStoring(): Storing {
  return { inTurn: limit({ atOnce: commandsAtOnce, waitingMax }), bytes: 0 };
}

export type CaptureUses = {
  events: Pick<CapturedEventStore, 'insert'>;
  storing: Storing;
  clock: Clock;
};

/** The verified project token of a capture, with its permit. */
export type CapturingToken = Omit<TokenCaller, 'kind'>;

/** The events of one capture, and the properties that each of them gets. */
export type Batch = Pick<CaptureEventsRequest, 'events' | 'superProperties'>;

/**
 * Stores a batch under the permit that came with the token: what is sent to MongoDB ends before the
 * permit does, so that a revocation which waits for the permit waits for the events. Answers for
 * each event what became of it. Where it is unknown whether events are stored, the permits of the
 * call are left to expire: the caller releases those that are left afterwards.
 * Refuses with INVALID_FIELD, RATE_LIMITED, DEPENDENCY_UNAVAILABLE.
 */
export async function captureBatch(
  token: CapturingToken,
  batch: Batch,
  call: Pick<Call, 'signal' | 'authorization'>,
  uses: CaptureUses,
): Promise<CaptureOutcome[]> {
  const { storing, clock } = uses;
  const receiveTime = clock.now();
  const checked = checkBatch(batch, receiveTime);
  const accepted = checked.flatMap((each) => ('event' in each ? [each.event] : []));
  const bytes = accepted.reduce((sum, event) => sum + sizeOf(event), 0);
  if (bytes > mergedBytesMax) {
    const description = `come to more than ${mergedBytesMax} bytes in all events of the batch`;
    throw errors.invalidField([{ field: 'super_properties', description }]);
  }
  if (storing.bytes + bytes > storingBytesMax) throw errors.rateLimited('storing', retryMs);
  storing.bytes += bytes;
  try {
    const duplicates = (await store(token, accepted, receiveTime, call, uses)).values();
    return checked.map((each) =>
      'event' in each
        ? stored(each.event, duplicates.next().value === true)
        : refused(each.violations),
    );
  } finally {
    storing.bytes -= bytes;
  }
}

/** Answers for each event whether it was there already. */
async function store(
  { projectId, permit }: CapturingToken,
  batch: readonly CheckedEvent[],
  receiveTime: Date,
  call: Pick<Call, 'signal' | 'authorization'>,
  { events, storing }: CaptureUses,
): Promise<boolean[]> {
  const duplicates: boolean[] = [];
  while (duplicates.length < batch.length) {
    const some = takeWithin(batch.slice(duplicates.length), commandBounds, sizeOf);
    const insert = async () => {
      call.signal.throwIfAborted();
      const maxTimeMs = Math.floor(Math.min(writeMsMax, permit.remainingMs()));
      if (maxTimeMs < writeMsMin) throw errors.dependencyUnavailable('the access registry');
      try {
        return await events.insert(projectId, some, { receiveTime, maxTimeMs }, call.signal);
      } catch (error) {
        // It may still be stored: the token's revocation waits until the permit is over.
        call.authorization?.leaveToExpire();
        throw error;
      }
    };
    duplicates.push(...(await storing.inTurn(insert).catch(refuseWaiting)));
  }
  return duplicates;
}

function checkBatch(
  { events, superProperties: sent }: Batch,
  receiveTime: Date,
): ReturnType<typeof checkEvent>[] {
  if (events.length === 0 || events.length > eventsMax) {
    const description = `must have 1-${eventsMax} events`;
    throw errors.invalidField([{ field: 'events', description }]);
  }
  const read = checkSuperProperties(sent);
  if ('violations' in read) throw errors.invalidField(read.violations);
  const newUuid = () => timeOrderedUuid(receiveTime, randomBytes(10));
  const context = { receiveTime, superProperties: read.superProperties, newUuid };
  return events.map((event) => checkEvent(event, context));
}

/** At least as many bytes as the event's document has, in UTF-16 units where most are ASCII. */
function sizeOf({ name, distinctId, properties }: CheckedEvent): number {
  return Buffer.byteLength(properties) + 4 * (name.length + distinctId.length) + 2_048;
}

function refuseWaiting(error: unknown): never {
  if (error instanceof RangeError) throw errors.rateLimited('storing', retryMs);
  throw error;
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
