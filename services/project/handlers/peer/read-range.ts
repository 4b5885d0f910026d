import type {
  ReadRangeRequest,
  ReadRangeResponse,
} from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import { rangeFrom } from '../../peer-messages.ts';
import type { EventRange } from '../../rules/events/event-range.ts';
import { type PeerCall, requireReadable } from './peer-records.ts';
import { readSome, type SourceDependencies } from './read-events.ts';

/** ReadRange: the last part ends where the range ends. */
export async function* readRange(
  { migrationId, range }: ReadRangeRequest,
  call: PeerCall,
  { migrationSource, migrations, streams }: SourceDependencies,
): AsyncGenerator<ReadRangeResponse> {
  const { signal } = call;
  const { projectId } = await requireReadable(migrations, migrationId, 'copy', call);
  using _ = streams.open(call);
  await using reader = await migrationSource.openReader(projectId, signal);
  for (let left: EventRange | undefined = rangeFrom(range); left !== undefined; ) {
    const { some, rest } = await readSome(reader, left, { digestsOnly: false, signal });
    yield { part: some };
    left = rest;
  }
}
