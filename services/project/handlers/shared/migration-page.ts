import { errors } from '@silo/errors/errors.ts';
import { nextPageToken, pageSizeOf } from '@silo/mongo/page-token.ts';
import type { Migration } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { migrationMessage } from '../../messages.ts';
import type { MigrationPlace, MigrationStore } from '../../store/migrations.ts';
import { positionOf } from './page-position.ts';

type Wanted = {
  /** Undefined: those of all organizations. */
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
  const after = placeOf(positionOf(query, pageToken, 2));
  const size = pageSizeOf(pageSize);
  const page = await migrations.list(organizationId, { after, size }, signal);
  return {
    migrations: page.items.map(migrationMessage),
    nextPageToken: nextPageToken(query, page, ({ _id, requestTime }) => [
      ...[requestTime.toISOString(), _id],
    ]),
  };
}

function placeOf(texts: string[] | undefined): MigrationPlace | undefined {
  const [time, id] = texts ?? [];
  if (time === undefined || id === undefined) return undefined;
  const requestTime = new Date(time);
  if (!Number.isNaN(requestTime.getTime())) return { requestTime, id };
  throw errors.invalidField([{ field: 'page_token', description: 'is not one of ours' }]);
}
