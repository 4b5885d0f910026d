import { errors } from '@silo/errors/errors.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { Call } from '@silo/rpc/call.ts';
import { pulledStates, wrongState } from '../../rules/migration-states.ts';
import type { MigrationDocument } from '../../store/documents.ts';
import type { MigrationStore } from '../../store/migrations.ts';

/** The parts of a call that these handlers use. */
export type PeerCall = Pick<Call, 'caller' | 'method' | 'signal'>;

/** The region that the caller's certificate names. */
export function callingRegion({ caller, method }: Pick<PeerCall, 'caller' | 'method'>): string {
  if (caller.kind !== 'certificate') throw new TypeError(`${method} has no calling region`);
  return caller.name;
}

/**
 * Returns the record of a migration from this region to the caller's. Refuses with
 * MIGRATION_NOT_FOUND.
 */
export async function requireOffered(
  migrations: Pick<MigrationStore, 'find'>,
  id: string,
  call: PeerCall,
): Promise<MigrationDocument> {
  const record = await findShared(migrations, id, call);
  if (record?.side !== 'source') throw errors.migrationNotFound(id);
  return record;
}

/**
 * Returns the record of a migration between this region and the caller's; undefined if there is
 * none.
 */
export async function findShared(
  migrations: Pick<MigrationStore, 'find'>,
  id: string,
  call: PeerCall,
): Promise<MigrationDocument | undefined> {
  const record = await migrations.find(id, call.signal);
  if (record === undefined) return undefined;
  const { side, sourceRegion, destinationRegion } = record;
  const other = side === 'source' ? destinationRegion : sourceRegion;
  return other === callingRegion(call) ? record : undefined;
}

/** Like `findShared`, but refuses with MIGRATION_NOT_FOUND. */
export async function requireShared(
  migrations: Pick<MigrationStore, 'find'>,
  id: string,
  call: PeerCall,
): Promise<MigrationDocument> {
  const record = await findShared(migrations, id, call);
  if (record === undefined) throw errors.migrationNotFound(id);
  return record;
}

/**
 * Like `requireShared`, for calls that read the project's events: to copy them only while the
 * migration is open and leads to the caller, to compare them also afterwards, at either end.
 * Refuses with MIGRATION_NOT_FOUND, MIGRATION_STATE.
 */
export async function requireReadable(
  migrations: Pick<MigrationStore, 'find'>,
  id: string,
  use: 'copy' | 'compare',
  call: PeerCall,
): Promise<MigrationDocument> {
  const record = await requireShared(migrations, id, call);
  if (record.side === 'destination' && use === 'copy') throw errors.migrationNotFound(id);
  const isAfterwards = record.state === MigrationState.MIGRATION_STATE_DONE && use === 'compare';
  if (!pulledStates.includes(record.state) && !isAfterwards) throw wrongState(record);
  return record;
}
