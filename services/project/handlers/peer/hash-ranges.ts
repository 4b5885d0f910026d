import type {
  HashRangesRequest,
  HashRangesResponse,
} from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import { digestMessage, rangeFrom } from '../../peer-messages.ts';
import { stepBounds } from '../../store/migration-events.ts';
import { withoutChosen } from '../../store/stored-event.ts';
import { type PeerCall, requireReadable } from './peer-records.ts';
import type { SourceUses } from './read-events.ts';

/**
 * What the caller compares has as many events as a step: a range with more differs, and may hold all that
 * was captured here since, where one event is dated into the future.
 */
const limit = stepBounds.countMax + 1;

/** What is stored now, not what was counted before. */
export async function* hashRanges(
  { migrationId, ranges, withoutChosenValues }: HashRangesRequest,
  call: PeerCall,
  { migrationSource, migrations, streams }: SourceUses,
): AsyncGenerator<HashRangesResponse> {
  const { signal } = call;
  const { projectId } = await requireReadable(migrations, migrationId, 'compare', call);
  using _ = streams.open(call);
  await using reader = await migrationSource.openReader(projectId, signal);
  for (const range of ranges) {
    const hashed = withoutChosenValues ? withoutChosen : undefined;
    const digest = await reader.digest(rangeFrom(range), signal, { hashed, limit });
    yield { digest: digestMessage(digest) };
  }
}
