import type {
  PullEventsResponse,
  ScannedRange,
} from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import { race } from '@silo/runtime/deadline.ts';
import { digestFrom, unpack } from '../peer-messages.ts';
import { type EventPlace, endPlace } from '../rules/events/event-range.ts';
import { EventBytes } from '../store/copied-events.ts';
import { hex, stepBounds } from '../store/migration-events.ts';
import { bytesIn, bytesReadFor, type SentChanges, type SentRange } from '../store/sent-events.ts';
import { receivedFrom } from './region-failed.ts';

/** Longer than a source without data stays silent. */
const silenceMaxMs = 20_000;

/**
 * Limits of the steps that wait to be applied. Waiting steps are merged: a transaction for each
 * small step would take longer than the source takes to send the next one, and steps that wait in
 * the network do not count as lag here.
 */
const waitingBounds = { countMax: 256, bytesMax: 4 * 1024 * 1024 };
/** Approximate memory of a UUID. */
const uuidBytes = 128;
/** Maximum number of ranges in one transaction. */
const rangesMax = 4;

/**
 * A decoded step of a pull. Consecutive ranges that wait are merged into one step, and so are
 * changes. `receivedMs` is the monotonic time of its receipt.
 */
export type Step = { resumeToken: Buffer; lagMs: number; receivedMs: number } & (
  | { kind: 'ranges'; ranges: SentRange[] }
  | { kind: 'changes'; changes: SentChanges }
  | { kind: 'fenced'; attempt: number }
);

type RangesStep = Extract<Step, { kind: 'ranges' }>;
type ChangesStep = Extract<Step, { kind: 'changes' }>;

/** Decodes received steps while earlier ones are applied. Rejects with RegionFailed. */
export async function* decodeSteps(
  responses: AsyncIterable<PullEventsResponse>,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): AsyncGenerator<Step> {
  const waiting: Step[] = [];
  let [arrived, taken] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let isOver = false;
  const read = async () => {
    for await (const response of receivedFrom(withoutSilence(responses, signal), signal)) {
      const step = await decodeStep(response, clock.monotonicMs());
      while (!fits(step, waiting) && !isOver) await taken.promise;
      if (isOver) return;
      waiting.push(step);
      arrived.resolve();
    }
  };
  const reading = read().finally(() => {
    isOver = true;
    arrived.resolve();
  });
  reading.catch(() => {}); // awaited after all earlier steps are applied
  try {
    for (;;) {
      if (waiting.length === 0 && isOver) return await reading;
      if (waiting.length === 0) await arrived.promise;
      const step = takeStep(waiting);
      arrived = Promise.withResolvers();
      taken.resolve();
      taken = Promise.withResolvers();
      if (step) yield step;
    }
  } finally {
    isOver = true;
    taken.resolve();
  }
}

/** Whether a step may wait with these; the first one always may. */
function fits(step: Step, waiting: readonly Step[]): boolean {
  const { countMax, bytesMax } = waitingBounds;
  const bytes = waiting.reduce((sum, each) => sum + bytesOfStep(each), bytesOfStep(step));
  return waiting.length === 0 || (waiting.length < countMax && bytes <= bytesMax);
}

/**
 * Takes the first waiting step and merges the following ones of its kind, as many as fit into one
 * transaction.
 */
function takeStep(waiting: Step[]): Step | undefined {
  const first = waiting.shift();
  switch (first?.kind) {
    case 'ranges':
      return takeRanges(first, waiting);
    case 'changes':
      return takeChanges(first, waiting);
    default:
      return first;
  }
}

function takeRanges(first: RangesStep, waiting: Step[]): RangesStep {
  let step = first;
  for (let [next] = waiting; next?.kind === 'ranges'; [next] = waiting) {
    const ranges = [...step.ranges, ...next.ranges];
    if (ranges.length > rangesMax) break;
    step = { ...next, ranges };
    waiting.shift();
  }
  return step;
}

function takeChanges(first: ChangesStep, waiting: Step[]): ChangesStep {
  const steps = [first];
  let count = first.changes.uuids.length;
  let bytes = bytesIn(first.changes.events);
  for (let [next] = waiting; next?.kind === 'changes'; [next] = waiting) {
    count += next.changes.uuids.length;
    bytes += bytesIn(next.changes.events);
    if (count > stepBounds.countMax || bytes > stepBounds.bytesMax) break;
    steps.push(next);
    waiting.shift();
  }
  const last = steps.at(-1) ?? first;
  return steps.length === 1 ? first : { ...last, changes: joinChanges(steps) };
}

/** Merges changes. If an event has changed twice, the later read counts. */
function joinChanges(steps: readonly ChangesStep[]): SentChanges {
  const uuids = new Map<string, Uint8Array>();
  const events = new Map<string, EventBytes>();
  for (const { changes } of steps) {
    for (const uuid of changes.uuids) {
      uuids.set(hex(uuid), uuid);
      events.delete(hex(uuid));
    }
    for (const event of changes.events) events.set(hex(event.place.uuid), event);
  }
  return { uuids: [...uuids.values()], events: [...events.values()] };
}

/** Approximate memory of a step. Digests count as the documents that the source has read. */
function bytesOfStep(step: Step): number {
  switch (step.kind) {
    case 'ranges':
      return bytesReadFor(step.ranges);
    case 'changes':
      return bytesIn(step.changes.events) + step.changes.uuids.length * uuidBytes;
    case 'fenced':
      return 0;
  }
}

/** Yields the responses; rejects after a silence. */
async function* withoutSilence<T>(
  responses: AsyncIterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T> {
  const iterator = responses[Symbol.asyncIterator]();
  try {
    for (;;) {
      const within = AbortSignal.any([signal, AbortSignal.timeout(silenceMaxMs)]);
      const { done, value } = await race(iterator.next(), within);
      if (done) return;
      yield value;
    }
  } finally {
    iterator.return?.().catch(() => {}); // not awaited: it may take as long as the source
  }
}

async function decodeStep(
  { step, resumeToken, lagMs }: PullEventsResponse,
  receivedMs: number,
): Promise<Step> {
  const reached = { resumeToken, lagMs, receivedMs };
  switch (step?.$case) {
    case 'range': {
      const ranges = [await decodeRange(step.value, endPlace)];
      return { kind: 'ranges', ranges, ...reached };
    }
    case 'changes': {
      const { uuids, documents } = step.value;
      const events = (await unpack(documents)).map((document) => new EventBytes(document));
      return { kind: 'changes', changes: { uuids, events }, ...reached };
    }
    case 'fencedAttempt':
      return { kind: 'fenced', attempt: step.value, ...reached };
    case undefined:
      throw new TypeError('the source has sent an unknown kind of step');
  }
}

/** Decodes a received range. Without an end of its own it ends at `end`. */
export async function decodeRange(
  { last, digest, documents, bytes }: ScannedRange,
  end: EventPlace,
): Promise<SentRange> {
  const sent = documents && (await unpack(documents));
  return {
    last: last ?? end,
    digest: digestFrom(digest),
    events: sent?.map((document) => new EventBytes(document)),
    // An older release does not send it.
    ...(bytes > 0 && { bytesRead: bytes }),
  };
}
