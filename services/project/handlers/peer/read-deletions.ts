import type {
  ReadDeletionsRequest,
  ReadDeletionsResponse,
} from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import { EventFilter } from '@silo/protos/gen/silo/project/v1/event.ts';
import { bytesOf } from '../../store/event-collection.ts';
import type { EventDeletionStore } from '../../store/event-deletions.ts';
import type { MigratingProjectStore } from '../../store/migrating-projects.ts';
import { type PeerCall, requireReadable } from './peer-records.ts';
import type { SourceDependencies } from './read-events.ts';

type Dependencies = Pick<SourceDependencies, 'migrations' | 'streams'> & {
  deletions: Pick<EventDeletionStore, 'later'>;
  migratingProjects: Pick<MigratingProjectStore, 'find'>;
};

export async function* readDeletions(
  { migrationId, afterGeneration }: ReadDeletionsRequest,
  call: PeerCall,
  { migrations, deletions, migratingProjects, streams }: Dependencies,
): AsyncGenerator<ReadDeletionsResponse> {
  const { projectId } = await requireReadable(migrations, migrationId, 'compare', call);
  using _ = streams.open(call);
  const { expiredBefore } = (await migratingProjects.find(projectId, call.signal)) ?? {};
  if (expiredBefore !== undefined) yield { generation: 0, filter: undefined, expiredBefore };
  for (let after = afterGeneration; ; ) {
    const some = await deletions.later(projectId, after, call.signal);
    for (const { generation, filter } of some) {
      const decoded = EventFilter.decode(bytesOf(filter));
      yield { generation, filter: decoded, expiredBefore: undefined };
    }
    const last = some.at(-1);
    if (last === undefined) return;
    after = last.generation;
  }
}
