import { randomBytes } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import { hashRanges } from '../handlers/peer/hash-ranges.ts';
import { createRegionStreams } from '../handlers/peer/region-streams.ts';
import { digestFrom, rangeMessage } from '../peer-messages.ts';
import type { EventDigest } from '../rules/events/event-digest.ts';
import { type EventRange, endPlace, firstPlace, rangeOfOne } from '../rules/events/event-range.ts';
import { openEventReader, placeOf, stepBounds } from '../store/migration-events.ts';
import { withoutChosen } from '../store/stored-event.ts';
import { captured, insert } from './event-support.ts';
import { signal } from './migration-copy-support.ts';
import { fromRegion } from './migration-support.ts';
import { eventCount, type Migrated, migratedProject } from './purge-support.ts';

const all = { after: firstPlace, last: endPlace };
/** Without limits. */
const limit = Number.MAX_SAFE_INTEGER;

/** Calls `eu` as another region does. Returns the digests, and the number of reads. */
async function ask({ eu, projectId, record }: Migrated, ranges: readonly EventRange[]) {
  let reads = 0;
  const openReader = async () => {
    const reader = await openEventReader(eu.db, projectId, signal());
    const counted = <Method extends 'byUuid' | 'digest'>(method: Method) =>
      ((...given: never[]) => {
        reads++;
        return Reflect.apply(reader[method], reader, given);
      }) as (typeof reader)[Method];
    return { ...reader, byUuid: counted('byUuid'), digest: counted('digest') };
  };
  const migrationSource = { openReader };
  const dependencies = {
    migrationSource,
    migrations: eu.migrations,
    streams: createRegionStreams(),
  };
  const asked = { migrationId: record._id, ranges: ranges.map(rangeMessage) };
  const request = { ...asked, withoutChosenValues: true };
  const digests: EventDigest[] = [];
  for await (const { digest } of hashRanges(request, fromRegion('us'), dependencies)) {
    digests.push(digestFrom(digest));
  }
  return { digests, reads };
}

/** The one-event range of each event in `eu`. */
async function onesOf({ eu, projectId }: Migrated): Promise<EventRange[]> {
  await using reader = await openEventReader(eu.db, projectId, signal());
  const ones: EventRange[] = [];
  for (let [after, isOver] = [firstPlace, false]; !isOver; ) {
    const read = await reader.oldest({ after, last: endPlace }, signal());
    const places = read.documents.map(placeOf);
    ones.push(...places.map(rangeOfOne));
    after = places.at(-1) ?? after;
    isOver = read.isOver;
  }
  return ones;
}

async function isEachAsAlone(t: ExecutionContext, world: Migrated, ranges: readonly EventRange[]) {
  await using reader = await openEventReader(world.eu.db, world.projectId, signal());
  const { digests, reads } = await ask(world, ranges);
  t.is(digests.length, ranges.length);
  for (const [index, range] of ranges.entries()) {
    const alone = await reader.digest(range, signal(), { hashed: withoutChosen, limit });
    t.true(digests[index]?.equals(alone), `the digest of range ${index}`);
  }
  return { digests, reads };
}

test('consecutive one-event ranges take one read, with the same results as separate calls', async (t) => {
  const world = await migratedProject(t);
  const ones = await onesOf(world);
  const [first] = ones;
  if (first === undefined) throw new TypeError('no event');
  const { timeMs, uuid } = first.last;
  const atAnotherTime = rangeOfOne({ timeMs: timeMs + 1, uuid });
  const unknown = rangeOfOne({ timeMs, uuid: randomBytes(16) });
  const zero = rangeOfOne({ timeMs, uuid: new Uint8Array(16) });
  const asked = [all, ...ones, atAnotherTime, first, unknown, zero, all];
  const { digests, reads } = await isEachAsAlone(t, world, asked);
  const counts = digests.map(({ count }) => count);
  t.deepEqual(counts, [eventCount, ...ones.map(() => 1), 0, 1, 0, 0, eventCount]);
  t.is(reads, 3);
});

test('consecutive large events are read in parts of bounded size', async (t) => {
  const world = await migratedProject(t);
  const large = Array.from({ length: 50 }, (_, index) =>
    captured({ index, text: 'x'.repeat(60_000) }),
  );
  await insert(world.eu.captured, world.projectId, large);
  const ones = await onesOf(world);
  t.is(ones.length, eventCount + large.length);
  const { reads } = await isEachAsAlone(t, world, ones);
  t.is(reads, Math.ceil((large.length * 60_000) / stepBounds.bytesMax));
});
