import type {
  NoteProgressRequest,
  NoteProgressResponse,
} from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { migrationMessage } from '../../messages.ts';
import { type ProgressDependencies, recordProgress } from '../../migration/destination-progress.ts';
import { asMigration } from '../../migration/migration-records.ts';
import type { Dependencies } from '../dependencies.ts';
import { requireOffered } from './peer-records.ts';

type NoteProgressDependencies = Pick<Dependencies, 'eventLog' | 'migrations'> &
  ProgressDependencies;

export async function noteProgress(
  { migration: given, revision }: NoteProgressRequest,
  call: Call,
  dependencies: NoteProgressDependencies,
): Promise<NoteProgressResponse> {
  if (given === undefined) throw new TypeError('a progress without a migration');
  const record = await requireOffered(dependencies.migrations, given.id, call);
  const { value } = await dependencies.eventLog.decide(asMigration(record, call), (tx) =>
    recordProgress(dependencies, tx, given, revision),
  );
  return { migration: migrationMessage(value) };
}
