import { errors } from '@silo/errors/errors.ts';
import type { Transaction } from '@silo/log/event-log.ts';
import type {
  CancelMigrationRequest,
  CancelMigrationResponse,
  GetMigrationRequest,
  GetMigrationResponse,
  ListMigrationsRequest,
  ListMigrationsResponse,
  RetryMigrationRequest,
  RetryMigrationResponse,
  SetMigrationRateRequest,
  SetMigrationRateResponse,
  StartMigrationRequest,
  StartMigrationResponse,
  WatchMigrationRequest,
  WatchMigrationResponse,
} from '@silo/protos/gen/silo/project/internal/v1/migration_staff_service.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { Call } from '@silo/rpc/call.ts';
import { migrationMessage } from '../../messages.ts';
import { asMigration, reread } from '../../migration/migration-records.ts';
import type { Watching } from '../../migration/watching.ts';
import { isOver, wrongState } from '../../rules/migration-states.ts';
import type { MigrationDocument } from '../../store/documents.ts';
import type { Dependencies } from '../dependencies.ts';
import { cancelAnywhere } from '../shared/cancel-anywhere.ts';
import { migrationPage } from '../shared/migration-page.ts';

const { MIGRATION_STATE_COPYING: copying, MIGRATION_STATE_FAILED: failed } = MigrationState;
const { MIGRATION_STATE_ACCEPTED: accepted, MIGRATION_STATE_CANCELLED: cancelled } = MigrationState;

export type StaffDependencies = Pick<Dependencies, 'migrations' | 'eventLog' | 'regions'>;

export async function startMigration(
  { migrationId }: StartMigrationRequest,
  call: Call,
  dependencies: StaffDependencies,
): Promise<StartMigrationResponse> {
  return await change(dependencies, call, migrationId, async (tx, present) => {
    const { state } = present;
    if (state === cancelled || state === failed) throw wrongState(present);
    if (state !== accepted) return present;
    return await dependencies.migrations.become(tx, present, copying, { startTime: tx.now });
  });
}

export async function retryMigration(
  { migrationId, discardUnmatched }: RetryMigrationRequest,
  call: Call,
  dependencies: StaffDependencies,
): Promise<RetryMigrationResponse> {
  return await change(dependencies, call, migrationId, async (tx, present) => {
    if (present.state !== failed) throw wrongState(present);
    const again = {
      ...{ failure: undefined, finishTime: undefined, attemptsBefore: present.attempt },
      discardsUnmatched: discardUnmatched ? (true as const) : undefined,
      // A postponed migration is due now.
      putOff: undefined,
    };
    return await dependencies.migrations.become(tx, present, copying, again);
  });
}

export async function setMigrationRate(
  { migrationId, bytesPerSecondMax = 0 }: SetMigrationRateRequest,
  call: Call,
  dependencies: StaffDependencies,
): Promise<SetMigrationRateResponse> {
  return await change(dependencies, call, migrationId, async (tx, present) => {
    if (isOver(present.state)) throw wrongState(present);
    return await dependencies.migrations.write(tx, present, { bytesPerSecondMax });
  });
}

export async function cancelMigration(
  { migrationId }: CancelMigrationRequest,
  call: Call,
  dependencies: StaffDependencies,
): Promise<CancelMigrationResponse> {
  const record = await requireRecord(dependencies, migrationId, call);
  const cancel = await cancelAnywhere(dependencies, call, record);
  const { value } = await dependencies.eventLog.decide(asMigration(record, call), cancel);
  return { migration: migrationMessage(value) };
}

export async function getMigration(
  { migrationId }: GetMigrationRequest,
  call: Call,
  dependencies: StaffDependencies,
): Promise<GetMigrationResponse> {
  return { migration: migrationMessage(await requireRecord(dependencies, migrationId, call)) };
}

export async function listMigrations(
  { pageSize, pageToken }: ListMigrationsRequest,
  { signal }: Call,
  { migrations }: StaffDependencies,
): Promise<ListMigrationsResponse> {
  const wanted = { organizationId: undefined, pageSize, pageToken };
  return await migrationPage(migrations, wanted, signal);
}

export async function* watchMigration(
  { migrationId }: WatchMigrationRequest,
  call: Call,
  { watching }: { watching: Watching },
): AsyncGenerator<WatchMigrationResponse> {
  const see = async (record: MigrationDocument | undefined) => {
    if (record === undefined) throw errors.migrationNotFound(migrationId);
    return record;
  };
  for await (const record of watching(migrationId, call, see)) {
    yield { migration: migrationMessage(record) };
  }
}

/** Changes a record of the destination. Refuses with CROSS_REGION at the source. */
async function change(
  dependencies: StaffDependencies,
  call: Call,
  migrationId: string,
  by: (tx: Transaction, present: MigrationDocument) => Promise<MigrationDocument | undefined>,
) {
  const record = await requireRecord(dependencies, migrationId, call);
  if (record.side !== 'destination') throw errors.migrationElsewhere(record.destinationRegion);
  const { value } = await dependencies.eventLog.decide(asMigration(record, call), async (tx) => {
    const changed = await by(tx, await reread(dependencies.migrations, tx, migrationId));
    if (changed === undefined) throw errors.migrationNotFound(migrationId);
    return changed;
  });
  return { migration: migrationMessage(value) };
}

async function requireRecord(
  { migrations }: StaffDependencies,
  id: string,
  { signal }: Call,
): Promise<MigrationDocument> {
  const record = await migrations.find(id, signal);
  if (record === undefined) throw errors.migrationNotFound(id);
  return record;
}
