import type { ScannedRange } from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import { digestMessage, pack, placeMessage } from '../../peer-messages.ts';
import { EventDigest } from '../../rules/events/event-digest.ts';
import { comparePlaces, type EventRange, endPlace } from '../../rules/events/event-range.ts';
import { type EventReader, placeOf } from '../../store/migration-events.ts';
import type { MigrationSource } from '../../store/migration-source.ts';
import type { MigrationStore } from '../../store/migrations.ts';
import type { RegionStreams } from './region-streams.ts';

/** Dependencies of the calls that read events for another region. */
export type SourceDependencies = {
  migrationSource: MigrationSource;
  migrations: Pick<MigrationStore, 'find'>;
  streams: RegionStreams;
};

/** Reads the first events of a range for sending. Returns them and the rest of the range. */
export async function readSome(
  reader: EventReader,
  range: EventRange,
  { digestsOnly, signal }: { digestsOnly: boolean; signal: AbortSignal },
): Promise<{ some: ScannedRange; rest: EventRange | undefined }> {
  const { documents, isOver } = await reader.oldest(range, signal);
  const end = documents.at(-1);
  const last = isOver || end === undefined ? range.last : placeOf(end);
  const some = {
    last: placeMessage(last, endPlace),
    digest: digestMessage(EventDigest.of(documents)),
    documents: digestsOnly ? undefined : await pack(documents),
    bytes: documents.reduce((sum, { length }) => sum + length, 0),
  };
  // Even if its last event fills the limits, when it is not known whether more follow.
  const isWhole = comparePlaces(last, range.last) === 0;
  return { some, rest: isWhole ? undefined : { after: last, last: range.last } };
}
