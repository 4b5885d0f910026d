import type {
  NoteProgressRequest,
  NoteProgressResponse,
} from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { migrationMessage } from '../../messages.ts';
import { type ProgressUses, recordProgress } from '../../migration/destination-progress.ts';
import { asMigration } from '../../migration/migration-records.ts';
import type { Dependencies } from '../dependencies.ts';
import { requireOffered } from './peer-records.ts';

type Uses = Pick<Dependencies, 'eventLog' | 'migrations'> & ProgressUses;

export async function noteProgress(
  { migration: given, revision }: NoteProgressRequest,
  call: Call,
  uses: Uses,
): Promise<NoteProgressResponse> {
  if (given === undefined) throw new TypeError('a progress without a migration');
  const record = await requireOffered(uses.migrations, given.id, call);
  const { value } = await uses.eventLog.decide(asMigration(record, call), (tx) =>
    recordProgress(uses, tx, given, revision),
  );
  return { migration: migrationMessage(value) };
}
