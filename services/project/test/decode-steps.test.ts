import type { PullEventsResponse } from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import { fakeClock } from '@silo/runtime/test/fake-clock.ts';
import test, { type ExecutionContext } from 'ava';
import { BSON } from 'mongodb';
import { eventually } from '../../../test/harness/eventually.ts';
import { decodeSteps, type Step } from '../migration/decode-steps.ts';
import { digestMessage, pack, placeMessage } from '../peer-messages.ts';
import { EventDigest } from '../rules/events/event-digest.ts';
import { endPlace } from '../rules/events/event-range.ts';
import { keyOf, uuidBytes } from '../store/event-collection.ts';
import { StoredEvent } from '../store/stored-event.ts';

/** An event of a project, by number. */
type Event = { number: number; name: string; bytes?: number };

function uuidOf(number: number): Buffer {
  return Buffer.from(uuidBytes(`00000000-0000-4000-8000-${number.toString(16).padStart(12, '0')}`));
}

function documentOf({ number, name, bytes = 0 }: Event): Uint8Array {
  const properties = Buffer.alloc(bytes, ' ');
  return BSON.serialize({
    ...{ _id: keyOf('prj_1', uuidOf(number)), time: new Date(0), name, properties },
  });
}

/** Changes of events; the named events exist. */
async function changes(
  numbers: readonly number[],
  events: readonly Event[],
  { token = '', lagMs = 0 } = {},
): Promise<PullEventsResponse> {
  const value = { uuids: numbers.map(uuidOf), documents: await pack(events.map(documentOf)) };
  const resumeToken = Buffer.from(token);
  return { step: { $case: 'changes', value }, resumeToken, lagMs };
}

async function range(bytes = 0): Promise<PullEventsResponse> {
  const documents = [documentOf({ number: 1, name: 'seen', bytes })];
  const value = {
    last: placeMessage(endPlace, endPlace),
    digest: digestMessage(EventDigest.of(documents)),
    bytes: documents[0]?.length ?? 0,
    // Uncompressed: compressed data is decoded asynchronously.
    documents: {
      ...{ documents: Buffer.concat(documents), zstd: false, bytes: documents[0]?.length ?? 0 },
    },
  };
  return { step: { $case: 'range', value }, resumeToken: Buffer.alloc(0), lagMs: 0 };
}

const fenced: PullEventsResponse = {
  ...{ step: { $case: 'fencedAttempt', value: 1 }, resumeToken: Buffer.alloc(0), lagMs: 0 },
};

/** Decodes the steps of a source that then falls silent; `sent` counts the pulled steps. */
function decode(
  t: ExecutionContext,
  responses: readonly PullEventsResponse[],
  { clock = fakeClock(), onSent = () => {} }: { clock?: Clock; onSent?: () => void } = {},
) {
  const over = new AbortController();
  t.teardown(() => over.abort());
  const counts = { sent: 0 };
  async function* send() {
    for (const response of responses) {
      counts.sent++;
      yield response;
      onSent();
    }
    counts.sent++;
    await new Promise(() => {});
  }
  const steps = decodeSteps(send(), { clock, signal: over.signal });
  const next = async (): Promise<Step> => {
    const { value, done } = await steps.next();
    if (done) throw new Error('the steps are over');
    return value;
  };
  /** Resolves when everything has been received and waits. */
  const received = () =>
    eventually(() => {
      if (counts.sent <= responses.length) throw new Error(`${counts.sent} are sent`);
    });
  return { next, received, counts };
}

function changesOf(step: Step) {
  if (step.kind !== 'changes') throw new TypeError(`a step is ${step.kind}`);
  return step.changes;
}

test('waiting changes are merged into one step, with the last read of each event', async (t) => {
  const { next, received } = decode(t, [
    fenced,
    await changes(
      [1, 2, 3],
      [1, 2, 3].map((number) => ({ number, name: 'first' })),
      { token: 'first', lagMs: 30 },
    ),
    await changes([1], [{ number: 1, name: 'second' }]),
    await changes([2, 4], [{ number: 4, name: 'third' }], { token: 'third', lagMs: 10 }),
  ]);
  t.is((await next()).kind, 'fenced');
  await received();
  const step = await next();
  const { uuids, events } = changesOf(step);
  t.deepEqual(uuids.map((uuid) => Buffer.from(uuid).readUInt8(15)).sort(), [1, 2, 3, 4]);
  const named = events.map(({ document, place }) => [
    Buffer.from(place.uuid).readUInt8(15),
    new StoredEvent(document).name,
  ]);
  t.deepEqual(named, [
    [3, 'first'],
    [1, 'second'],
    [4, 'third'],
  ]);
  t.is(step.resumeToken.toString(), 'third');
  t.is(step.lagMs, 10);
});

test('a step has at most 1,000 changes, 1 MiB of them and 4 ranges', async (t) => {
  const many = (from: number, bytes: number) => {
    const numbers = Array.from({ length: 400 }, (_, index) => from + index);
    const events = numbers.map((number) => ({ number, name: 'seen', bytes }));
    return changes(numbers, events);
  };
  const { next, received } = decode(t, [
    fenced,
    ...[await many(0, 0), await many(400, 0), await many(800, 0)],
    fenced,
    ...[await many(0, 1_000), await many(400, 1_000), await many(800, 1_000)],
    fenced,
    ...(await Promise.all(Array.from({ length: 6 }, () => range()))),
  ]);
  t.is((await next()).kind, 'fenced');
  await received();
  const sizes: number[][] = [[]];
  while (sizes.flat().length < 6) {
    const step = await next();
    if (step.kind === 'fenced') sizes.push([]);
    else
      sizes.at(-1)?.push(step.kind === 'ranges' ? step.ranges.length : step.changes.uuids.length);
  }
  t.deepEqual(sizes, [
    [800, 400],
    [800, 400],
    [4, 2],
  ]);
});

test('steps of different kinds keep their order', async (t) => {
  const sent = [fenced, await range(), await changes([1], []), await range(), fenced];
  const { next, received } = decode(t, sent);
  const kinds = [(await next()).kind];
  await received();
  for (let index = 1; index < sent.length; index++) kinds.push((await next()).kind);
  t.deepEqual(kinds, ['fenced', 'ranges', 'changes', 'ranges', 'fenced']);
});

test('reading from the source stops while 4 MiB or 256 steps wait', async (t) => {
  const large = await Promise.all(Array.from({ length: 9 }, () => range(1_000_000)));
  const small = Array.from({ length: 600 }, () => fenced);
  for (const [responses, waiting] of [
    [large, 4],
    [small, 256],
  ] as const) {
    const { next, counts } = decode(t, [fenced, ...responses]);
    await next();
    // One more step is received and waits for its place.
    const expected = 1 + waiting + 1;
    await eventually(() => {
      if (counts.sent < expected) throw new Error(`${counts.sent} are sent`);
    });
    // Meanwhile a reader whose steps are taken reads everything.
    const beside = decode(t, responses);
    while (beside.counts.sent <= responses.length) await beside.next();
    t.is(counts.sent, expected);
  }
});

test('a step has the time of its receipt, and merged steps have that of the last one', async (t) => {
  const clock = fakeClock();
  const sent = [fenced, await changes([1], []), await changes([2], [])];
  const { next, received } = decode(t, sent, { clock, onSent: () => clock.advance(100) });
  t.is((await next()).receivedMs, 0);
  await received();
  const step = await next();
  t.is(changesOf(step).uuids.length, 2);
  t.is(step.receivedMs, 200);
});
