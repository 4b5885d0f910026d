import {
  decodePageToken,
  nextPageToken,
  pageSizeOf,
  textPart,
  timePart,
} from '@silo/mongo/page-token.ts';
import type { Migration } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { migrationMessage } from '../../messages.ts';
import type { MigrationStore } from '../../store/migrations.ts';

type Wanted = {
  /** Undefined: the migrations of all organizations. */
  organizationId: string | undefined;
  pageSize: number;
  pageToken: string;
};

/** A page of migrations, newest first. */
export async function migrationPage(
  migrations: Pick<MigrationStore, 'list'>,
  { organizationId, pageSize, pageToken }: Wanted,
  signal: AbortSignal,
): Promise<{ migrations: Migration[]; nextPageToken: string }> {
  const query = ['ListMigrations', organizationId ?? ''];
  const key = decodePageToken(query, pageToken, [isoTimePart, textPart]);
  const after = key && { requestTime: key[0], id: key[1] };
  const size = pageSizeOf(pageSize);
  const page = await migrations.list(organizationId, { after, size }, signal);
  return {
    migrations: page.items.map(migrationMessage),
    nextPageToken: nextPageToken(query, page, ({ _id, requestTime }) => [
      ...[requestTime.toISOString(), _id],
    ]),
  };
}

function isoTimePart(value: unknown): Date | undefined {
  return typeof value === 'string' ? timePart(new Date(value)) : undefined;
}
