import { errors } from '@silo/errors/errors.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import type { Transaction } from '@silo/log/event-log.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import type {
  RollbackMigrationRequest,
  RollbackMigrationResponse,
} from '@silo/protos/gen/silo/project/internal/v1/migration_staff_service.ts';
import { type Migration, MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { Call } from '@silo/rpc/call.ts';
import { askRegion } from '@silo/service/regions.ts';
import { newId } from '@silo/tokens/ids.ts';
import { migrationMessage } from '../../messages.ts';
import { asMigration, reread } from '../../migration/migration-records.ts';
import { isSoundOffer } from '../../rules/foreign-project.ts';
import { requireRoomFor } from '../../rules/migration.ts';
import { wrongState } from '../../rules/migration-states.ts';
import { offeredMigration } from '../../rules/new-migration.ts';
import type { MigrationDocument } from '../../store/documents.ts';
import type { Dependencies } from '../dependencies.ts';

const { MIGRATION_STATE_CANCELLED: cancelled, MIGRATION_STATE_COPYING: copying } = MigrationState;
const { ERROR_REASON_MIGRATION_STATE, ERROR_REASON_MIGRATION_IN_PROGRESS } = ErrorReason;
const refusals: readonly ErrorReason[] = [
  ERROR_REASON_MIGRATION_STATE,
  ERROR_REASON_MIGRATION_IN_PROGRESS,
];

/** Maximum time that the response waits for the other region. */
const withdrawMsMax = 2_000;

type RollbackMigrationDependencies = Pick<
  Dependencies,
  'slots' | 'migrations' | 'eventLog' | 'region' | 'regions'
>;

export async function rollbackMigration(
  { migrationId }: RollbackMigrationRequest,
  call: Call,
  dependencies: RollbackMigrationDependencies,
): Promise<RollbackMigrationResponse> {
  const { slots, migrations, eventLog, region, regions } = dependencies;
  const { actor, signal } = call;
  const original = await migrations.find(migrationId, signal);
  if (original === undefined) throw errors.migrationNotFound(migrationId);
  if (original.side !== 'source') throw errors.migrationElsewhere(original.sourceRegion);
  const earlier = original.rolledBackBy && (await migrations.find(original.rolledBackBy, signal));
  if (earlier && earlier.state !== cancelled) return { migration: migrationMessage(earlier) };
  requireRevocable(original);
  // The source organization of an earlier migration may have given the project away since.
  const last = await migrations.lastFrom(original.projectId, signal);
  if (last?._id !== migrationId) {
    throw wrongState(original, 'the project has migrated again since');
  }
  const organizationId = original.sourceOrganizationId;
  const present = (await slots.getMany([organizationId], signal)).get(organizationId);
  requireRoomFor(organizationId, present);
  const rollbackId = newId(`mig_${region}`);
  const { migration: offer } = await askRegion(regions, original.destinationRegion, (client) =>
    client.offerRollback({ migrationId, rollbackId, actor }, { signal }),
  );
  if (offer === undefined || !leadsBack(offer, original)) {
    throw new TypeError('the other region does not offer the way back');
  }
  const mutation = { ...asMigration(original, call), id: offer.id, actor };
  const decided = eventLog.decide(mutation, async (tx) => {
    const begun = await migrations.read(tx, offer.id);
    if (begun !== undefined) return begun;
    requireRevocable(await reread(migrations, tx, migrationId));
    return await begin(dependencies, tx, { original, offer, actor });
  });
  const { value } = await decided.catch(async (error: unknown) => {
    throw isRefusal(error)
      ? await afterWithdrawal(dependencies, call, { original, offer, error })
      : error;
  });
  return { migration: migrationMessage(value) };
}

/**
 * Cancels the offer of a rollback that was not begun: while it is open, the project could not
 * migrate from there. Returns the refusal, which says if the offer could not be cancelled.
 */
async function afterWithdrawal(
  { regions }: RollbackMigrationDependencies,
  { actor, signal, log }: Call,
  { original, offer, error }: { original: MigrationDocument; offer: Migration; error: SiloError },
): Promise<SiloError> {
  const { id: migrationId, sourceRegion } = offer;
  try {
    await askRegion(regions, sourceRegion, (client) =>
      client.cancelOffer({ migrationId, actor }, { signal, deadlineMs: withdrawMsMax }),
    );
    return error;
  } catch (err) {
    log.warn({ migrationId, err }, 'the offer of a rollback could not be cancelled');
    // A repeated request uses the offer again after the other migration here has ended.
    if (error.reason !== ERROR_REASON_MIGRATION_STATE) return error;
    return wrongState(
      original,
      `its source is purged or being purged. Cancel ${migrationId} in ${sourceRegion}, which still offers the rollback`,
    );
  }
}

/**
 * Whether the error means that nothing was begun. If the database does not answer, that is unknown.
 */
function isRefusal(error: unknown): error is SiloError {
  return error instanceof SiloError && refusals.includes(error.reason);
}

/** Refuses with MIGRATION_STATE a migration that has not finished, or whose source is purged. */
function requireRevocable(original: MigrationDocument): void {
  const { state, purgeTime, isPurging } = original;
  if (state !== MigrationState.MIGRATION_STATE_DONE) throw wrongState(original);
  if (purgeTime !== undefined) throw wrongState(original, 'its source is purged');
  if (isPurging) {
    const then = 'roll it back if the purge is given up';
    throw wrongState(original, `its source is being purged: ${then}`);
  }
}

/** Whether the other region offers this project to the organization that had it. */
function leadsBack(offer: Migration, original: MigrationDocument): boolean {
  return (
    offer.rollbackOf === original._id &&
    offer.projectId === original.projectId &&
    offer.sourceRegion === original.destinationRegion &&
    offer.destinationRegion === original.sourceRegion &&
    offer.destinationOrganizationId === original.sourceOrganizationId &&
    isSoundOffer(offer)
  );
}

/** Stores the reverse migration, which is thereby accepted and started. */
async function begin(
  { migrations }: RollbackMigrationDependencies,
  tx: Transaction,
  { original, offer, actor }: { original: MigrationDocument; offer: Migration; actor: string },
): Promise<MigrationDocument> {
  const { projectId } = offer;
  const open = await migrations.readOpen(tx, projectId);
  if (open !== undefined) throw errors.migrationInProgress({ projectId, migrationId: open._id });
  const rollback = offeredMigration(offer, {
    ...{ state: copying, actor, rollbackOf: original._id, hasEvents: true },
    ...{ now: tx.now, acceptTime: offer.acceptTime ?? tx.now, startTime: tx.now },
  });
  await migrations.write(tx, original, { rolledBackBy: offer.id, isRollingBack: true });
  await migrations.insert(tx, rollback);
  return rollback;
}
