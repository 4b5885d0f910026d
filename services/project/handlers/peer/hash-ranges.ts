import type {
  HashRangesRequest,
  HashRangesResponse,
} from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import { digestMessage, rangeFrom } from '../../peer-messages.ts';
import { EventDigest } from '../../rules/events/event-digest.ts';
import { type EventPlace, type EventRange, isOfOne } from '../../rules/events/event-range.ts';
import { type EventReader, hex, placeOf, stepBounds } from '../../store/migration-events.ts';
import type { MigrationSource } from '../../store/migration-source.ts';
import { withoutChosen } from '../../store/stored-event.ts';
import { type PeerCall, requireReadable } from './peer-records.ts';
import type { SourceDependencies } from './read-events.ts';

type Dependencies = Pick<SourceDependencies, 'migrations' | 'streams'> & {
  migrationSource: Pick<MigrationSource, 'openReader'>;
};

/**
 * The caller's ranges have at most as many events as a step. A range with more events differs, and
 * one event dated in the future may extend it over everything captured here since.
 */
const limit = stepBounds.countMax + 1;

/**
 * HashRanges: hashes the events stored now rather than using earlier digests. Consecutive one-event
 * ranges are read together: as many as a differing batch of the caller has.
 */
export async function* hashRanges(
  { migrationId, ranges, withoutChosenValues }: HashRangesRequest,
  call: PeerCall,
  { migrationSource, migrations, streams }: Dependencies,
): AsyncGenerator<HashRangesResponse> {
  const { signal } = call;
  const { projectId } = await requireReadable(migrations, migrationId, 'compare', call);
  using _ = streams.open(call);
  await using reader = await migrationSource.openReader(projectId, signal);
  const hashed = withoutChosenValues ? withoutChosen : (document: Uint8Array) => document;
  const wanted = ranges.map(rangeFrom);
  for (let at = 0; at < wanted.length; at++) {
    const run = runOfOnes(wanted, at);
    for (const digest of await digestsOfOnes(reader, run, hashed, signal)) {
      yield { digest: digestMessage(digest) };
    }
    at += run.length;
    const range = wanted[at];
    if (range === undefined) break;
    const digest = await reader.digest(range, signal, { hashed, limit });
    yield { digest: digestMessage(digest) };
  }
}

/** The places of the consecutive one-event ranges from `start` on. */
function runOfOnes(ranges: readonly EventRange[], start: number): EventPlace[] {
  const run: EventPlace[] = [];
  for (const range of ranges.slice(start)) {
    if (!isOfOne(range)) break;
    run.push(range.last);
  }
  return run;
}

/**
 * The digests of single events, in the order of their places. Holds the documents of one step in
 * memory.
 */
async function digestsOfOnes(
  reader: Pick<EventReader, 'byUuid'>,
  places: readonly EventPlace[],
  hashed: (document: Uint8Array) => Uint8Array,
  signal: AbortSignal,
): Promise<EventDigest[]> {
  const keyOf = ({ timeMs, uuid }: EventPlace) => `${timeMs} ${hex(uuid)}`;
  const found = new Map<string, EventDigest>();
  for (let uuids = places.map(({ uuid }) => uuid); uuids.length > 0; ) {
    const { documents, left } = await reader.byUuid(uuids, signal);
    for (const document of documents) {
      found.set(keyOf(placeOf(document)), EventDigest.of([hashed(document)]));
    }
    uuids = left;
  }
  return places.map((place) => found.get(keyOf(place)) ?? new EventDigest());
}
