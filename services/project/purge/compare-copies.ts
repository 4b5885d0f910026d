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
import { StoredEvent, withoutChosen } from '../store/stored-event.ts';
import type { OtherCopy } from './other-copy.ts';

/** What a migration has left here, and the copy of it that the other region has. */
type Copies = {
  projectId: string;
  /** How many times events of it were deleted, when it left. */
  generation: number;
  migrationSource: Pick<MigrationSource, 'openReader'>;
  other: Pick<OtherCopy, 'digests' | 'notRemoved'>;
};

/** Some events that follow each other, and the digest of all of them. */
type Batch = {
  range: EventRange;
  digest: EventDigest;
  events: { event: StoredEvent; place: EventPlace; digest: EventDigest }[];
};

/** How many batches are in memory: a call to the other region for each would wait for most of the time. */
const batchesMax = 4;

/**
 * Compares, as both are now, every event of this region with the other region's. What only the other one
 * has is no difference, as it was captured since, and so is none what it has removed by a deletion or
 * because of its age.
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

/** Of the documents after a place; undefined where there are none. */
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

/** Compares one event after the other. */
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
  // Read after the events: what removes any is stored before.
  const lost = await other.notRemoved(different, generation, (removal, { event }) =>
    mayHaveRemoved(removal, event),
  );
  const missing = lost.filter(({ there }) => there === undefined || there.count === 0).length;
  return { missing, changed: lost.length - missing };
}
