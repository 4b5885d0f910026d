import { EventDigest } from '../rules/events/event-digest.ts';
import { endPlace, firstPlace, rangeOfOne } from '../rules/events/event-range.ts';
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

/**
 * Compares, as both are now, every event of this region with the other region's. What only the other one
 * has is no difference, as it was captured since, and so is none what it has removed by a deletion or
 * because of its age. Memory holds one range.
 */
export async function compareCopies(
  { projectId, generation, migrationSource, other }: Copies,
  signal: AbortSignal,
): Promise<Differences> {
  await using reader = await migrationSource.openReader(projectId, signal);
  const found = { missing: 0, changed: 0 };
  let after = firstPlace;
  for (let isOver = false; !isOver; ) {
    const read = await reader.oldest({ after, last: endPlace }, signal);
    isOver = read.isOver;
    const events = read.documents.map((document) => {
      const digest = EventDigest.of([withoutChosen(document)]);
      return { event: new StoredEvent(document), place: placeOf(document), digest };
    });
    const last = events.at(-1)?.place;
    if (last === undefined) continue;
    const total = new EventDigest();
    for (const { digest } of events) total.include(digest);
    const [theirs] = await other.digests([{ after, last }]);
    after = last;
    if (theirs?.equals(total)) continue;
    const each = await other.digests(events.map(({ place }) => rangeOfOne(place)));
    const different = events
      .map((event, index) => ({ ...event, there: each[index] }))
      .filter(({ digest, there }) => !there?.equals(digest));
    if (different.length === 0) continue;
    // Read after the events: what removes any is stored before.
    const lost = await other.notRemoved(different, generation, (removal, { event }) =>
      mayHaveRemoved(removal, event),
    );
    for (const { there } of lost) {
      if (there === undefined || there.count === 0) found.missing++;
      else found.changed++;
    }
  }
  return found;
}
