import type { Access } from '@silo/access/access.ts';
import { errors } from '@silo/errors/errors.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type {
  WatchMigrationRequest,
  WatchMigrationResponse,
} from '@silo/protos/gen/silo/project/v1/migration_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { demand } from '@silo/rpc/check-access.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import { migrationMessage } from '../messages.ts';
import type { Watching } from '../migration/watching.ts';
import type { MigrationDocument } from '../store/documents.ts';

type Dependencies = { watching: Watching; access: Access; clock: Clock };

export async function* watchMigration(
  { migrationId, organizationId }: WatchMigrationRequest,
  call: Call,
  { watching, access, clock }: Dependencies,
): AsyncGenerator<WatchMigrationResponse> {
  const needs = { scope: 'project:read', organizationId, level: Level.LEVEL_MEMBER };
  const see = async (record: MigrationDocument | undefined) => {
    if (record?.organizationId !== organizationId) throw errors.migrationNotFound(migrationId);
    // Check after the read: a caller that has lost access by now gets nothing.
    await demand(access, call, needs);
    return record;
  };
  for await (const record of watching(migrationId, call, see)) {
    yield { migration: migrationMessage(record), readTime: clock.now() };
  }
}
