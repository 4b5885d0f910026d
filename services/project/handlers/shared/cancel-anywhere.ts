import { Authorization } from '@silo/access/authorization.ts';
import { reasonOf } from '@silo/errors/from-status.ts';
import type { Transaction } from '@silo/log/event-log.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { Call } from '@silo/rpc/call.ts';
import { askRegion, type RegionClient } from '@silo/service/regions.ts';
import { cancelAtSource, reread } from '../../migration/migration-records.ts';
import { requireMayBecome } from '../../rules/migration-states.ts';
import type { MigrationDocument } from '../../store/documents.ts';
import type { Dependencies } from '../dependencies.ts';

const cancelled = MigrationState.MIGRATION_STATE_CANCELLED;

const askMsMax = 2_000;
/** Minimum remaining time of the caller's permits for calling the source. */
const permitMsMin = 500;

/**
 * Cancels a migration before its cutover. Wherever the caller is, the source decides, unless it
 * does not know the migration any more. Returns the change that remains for a transaction of this
 * region. Refuses with MIGRATION_STATE.
 */
export async function cancelAnywhere(
  { migrations, regions }: Pick<Dependencies, 'migrations' | 'regions'>,
  { actor, signal, authorization = new Authorization() }: Call,
  record: MigrationDocument,
): Promise<(tx: Transaction) => Promise<MigrationDocument>> {
  const { _id: migrationId, side, sourceRegion } = record;
  if (side === 'source') return (tx) => cancelAtSource(migrations, tx, record);
  if (record.state !== cancelled) requireMayBecome(record, cancelled);
  // The source sends its commit within this time, and MongoDB may take as long again to carry it
  // out: it ends while the caller's permits last, and revocations wait for them.
  const deadlineMs = Math.min(askMsMax, authorization.requireHeld(permitMsMin) / 2);
  const cancel = (client: RegionClient) =>
    client.cancelOffer({ migrationId, actor }, { signal, deadlineMs });
  await askRegion(regions, sourceRegion, cancel).catch((error: unknown) => {
    const reason = reasonOf(error);
    // A source that was restored to a time before the migration begins no cutover of it.
    if (reason === 'MIGRATION_NOT_FOUND') return;
    // Unless the source refused, it may still cancel.
    if (reason !== 'MIGRATION_STATE') authorization.leaveToExpire();
    throw error;
  });
  return async (tx) => {
    const values = { finishTime: tx.now, putOff: undefined };
    const ended = await migrations.become(tx, record, cancelled, values);
    if (ended !== undefined) return ended;
    const present = await reread(migrations, tx, migrationId);
    if (present.state !== cancelled) requireMayBecome(present, cancelled);
    return present;
  };
}
