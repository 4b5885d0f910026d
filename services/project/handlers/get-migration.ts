import type {
  GetMigrationRequest,
  GetMigrationResponse,
} from '@silo/protos/gen/silo/project/v1/migration_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { migrationMessage } from '../messages.ts';
import { requireSeen } from '../migration/migration-records.ts';
import type { Dependencies } from './dependencies.ts';

export async function getMigration(
  { migrationId, organizationId }: GetMigrationRequest,
  { signal }: Call,
  { migrations }: Pick<Dependencies, 'migrations'>,
): Promise<GetMigrationResponse> {
  const record = await requireSeen(migrations, migrationId, organizationId, signal);
  return { migration: migrationMessage(record) };
}
