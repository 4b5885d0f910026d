import { errors } from '@silo/errors/errors.ts';
import type { Transaction } from '@silo/log/event-log.ts';
import type {
  NotePurgeRequest,
  NotePurgeResponse,
} from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { Call } from '@silo/rpc/call.ts';
import { asMigration, cancelAtSource, reread } from '../../migration/migration-records.ts';
import { wrongState } from '../../rules/migration-states.ts';
import type { MigrationDocument } from '../../store/documents.ts';
import type { EventDeletionStore } from '../../store/event-deletions.ts';
import type { Dependencies } from '../dependencies.ts';
import { requireShared } from './peer-records.ts';

type NotePurgeDependencies = Pick<Dependencies, 'migrations' | 'eventLog'> & {
  deletions: Pick<EventDeletionStore, 'release'>;
};

export async function notePurge(
  { migrationId }: NotePurgeRequest,
  call: Call,
  { migrations, eventLog, deletions }: NotePurgeDependencies,
): Promise<NotePurgeResponse> {
  const record = await requireShared(migrations, migrationId, call);
  if (record.side !== 'destination') throw errors.migrationNotFound(migrationId);
  await eventLog.decide(asMigration(record, call), async (tx) => {
    const present = await reread(migrations, tx, migrationId);
    if (present.state !== MigrationState.MIGRATION_STATE_DONE) throw wrongState(present);
    if (present.purgeTime === undefined) {
      await migrations.write(tx, present, { purgeTime: tx.now });
      await deletions.release(tx, present.projectId, migrationId);
      await endRollback(migrations, tx, present);
    }
  });
  return {};
}

/**
 * Cancels the offer of a rollback that the purge has prevented: the other region has not begun it,
 * and may have stopped before it could cancel the offer.
 */
async function endRollback(
  migrations: NotePurgeDependencies['migrations'],
  tx: Transaction,
  { rolledBackBy }: MigrationDocument,
): Promise<void> {
  const offer = rolledBackBy && (await migrations.read(tx, rolledBackBy));
  if (!offer || offer.state !== MigrationState.MIGRATION_STATE_ACCEPTED) return;
  const failure = 'The copy of the project in the other region is purged.';
  await cancelAtSource(migrations, tx, offer, { failure });
}
