import { EventDigest } from '../rules/events/event-digest.ts';
import {
  type EventPlace,
  type EventRange,
  endPlace,
  firstPlace,
  rangeOfOne,
} from '../rules/events/event-range.ts';
import { type Differences, mayHaveRemoved } from '../rules/purge-source.ts';
import { placeOf } from '../store/migration-events.ts';
import type { MigrationSource } from '../store/migration-source.ts';
import { readFrom, StoredEvent, withoutChosen } from '../store/stored-event.ts';
import type { OtherCopy } from './other-copy.ts';

/** The events that a migration has left here, and the other region's copy. */
type Copies = {
  projectId: string;
  /** Number of deletions of the project's events when it left. */
  generation: number;
  migrationSource: Pick<MigrationSource, 'openReader'>;
  other: Pick<OtherCopy, 'digests' | 'notRemoved'>;
};

/** Consecutive events, and the digest of all of them. */
type Batch = {
  range: EventRange;
  digest: EventDigest;
  events: { event: StoredEvent; place: EventPlace; digest: EventDigest }[];
};

/**
 * Number of batches in memory: with one call to the other region for each, most of the time would
 * be waiting.
 */
const batchesMax = 4;

/**
 * Compares the present events of this region with the other region's. Events that only the other
 * region has are no difference, because they were captured since. Events that the other region has
 * removed by a deletion or because of their age are no difference either. Rejects with
 * DamagedEvent.
 */
export async function compareCopies(
  { projectId, generation, migrationSource, other }: Copies,
  signal: AbortSignal,
): Promise<Differences> {
  await using reader = await migrationSource.openReader(projectId, signal);
  const found = { missing: 0, changed: 0 };
  for (let [after, isOver] = [firstPlace, false]; !isOver; ) {
    const batches: Batch[] = [];
    while (!isOver && batches.length < batchesMax) {
      const read = await reader.oldest({ after, last: endPlace }, signal);
      isOver = read.isOver;
      const batch = batchOf(read.documents, after);
      if (batch === undefined) continue;
      batches.push(batch);
      after = batch.range.last;
    }
    if (batches.length === 0) break;
    const theirs = await other.digests(batches.map(({ range }) => range));
    for (const [index, { digest, events }] of batches.entries()) {
      if (theirs[index]?.equals(digest)) continue;
      const { missing, changed } = await differencesOf(events, generation, other);
      found.missing += missing;
      found.changed += changed;
    }
  }
  return found;
}

/** The batch of the documents after a place; undefined if there are none. */
function batchOf(documents: readonly Uint8Array[], after: EventPlace): Batch | undefined {
  const events = documents.map((document) => {
    const digest = EventDigest.of([withoutChosen(document)]);
    return { event: new StoredEvent(document), place: placeOf(document), digest };
  });
  const last = events.at(-1)?.place;
  if (last === undefined) return undefined;
  const total = new EventDigest();
  for (const { digest } of events) total.include(digest);
  return { range: { after, last }, digest: total, events };
}

/** Compares individual events. */
async function differencesOf(
  events: Batch['events'],
  generation: number,
  other: Copies['other'],
): Promise<Differences> {
  const each = await other.digests(events.map(({ place }) => rangeOfOne(place)));
  const different = events
    .map((event, index) => ({ ...event, there: each[index] }))
    .filter(({ digest, there }) => !there?.equals(digest));
  if (different.length === 0) return { missing: 0, changed: 0 };
  // Read after the events: a removal is recorded before it removes any.
  const lost = await other.notRemoved(different, generation, (removal, { event }) =>
    readFrom(event, (read) => mayHaveRemoved(removal, read)),
  );
  const missing = lost.filter(({ there }) => there === undefined || there.count === 0).length;
  return { missing, changed: lost.length - missing };
}
