import type { Outcome } from '@silo/mongo/mutation.ts';
import {
  type CancelMigrationRequest,
  CancelMigrationResponse,
} from '@silo/protos/gen/silo/project/v1/migration_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { migrationMessage } from '../messages.ts';
import { requireSeen } from '../migration/migration-records.ts';
import type { Dependencies } from './dependencies.ts';
import { cancelAnywhere } from './shared/cancel-anywhere.ts';

export async function cancelMigration(
  { migrationId, organizationId }: CancelMigrationRequest,
  call: Call,
  dependencies: Pick<Dependencies, 'migrations' | 'eventLog' | 'regions'>,
): Promise<Outcome<CancelMigrationResponse>> {
  const record = await requireSeen(
    dependencies.migrations,
    migrationId,
    organizationId,
    call.signal,
  );
  const cancel = await cancelAnywhere(dependencies, call, record);
  return await dependencies.eventLog.mutate(call, CancelMigrationResponse, async (tx) => ({
    response: { migration: migrationMessage(await cancel(tx)) },
  }));
}
