import type {
  ListMigrationsRequest,
  ListMigrationsResponse,
} from '@silo/protos/gen/silo/project/v1/migration_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import type { Dependencies } from './dependencies.ts';
import { migrationPage } from './shared/migration-page.ts';

export async function listMigrations(
  { organizationId, pageSize, pageToken }: ListMigrationsRequest,
  { signal }: Call,
  { migrations }: Pick<Dependencies, 'migrations'>,
): Promise<ListMigrationsResponse> {
  return await migrationPage(migrations, { organizationId, pageSize, pageToken }, signal);
}
