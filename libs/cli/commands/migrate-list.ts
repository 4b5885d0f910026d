import { Option } from '@commander-js/extra-typings';
import type { Migration } from '@silo/protos/gen/silo/project/v1/migration.ts';
import {
  GetMigrationResponse,
  ListMigrationsResponse,
} from '@silo/protos/gen/silo/project/v1/migration_service.ts';
import type { Cli } from '../cli.ts';
import { findMigration, type MigrationOptions, migrationScope } from '../find-migration.ts';
import { type NameOf, namesFrom } from '../names.ts';
import { namesEverywhere } from '../other-regions.ts';
import {
  idsIn,
  migrationBlocks,
  migrationsBlocks,
  nextBlocks,
  organizationsIn,
} from '../render/migrations.ts';
import { firstOf, parseCount } from './limit.ts';
import { withScope } from './migration-options.ts';

export function migrateList(cli: Cli) {
  return withScope('list', 'that of the current project')
    .description('List the migrations from and to an organization, newest first.')
    .addOption(
      new Option('--limit <count>', 'show at most this number').argParser(parseCount).default(50),
    )
    .action(async ({ limit, ...options }) => {
      const scope = await migrationScope(cli, options);
      const { things, nextPageToken } = await firstOf<Migration>(limit, async (page) => {
        const { migrations, nextPageToken: next } = await scope.list(page);
        return { things: migrations, nextPageToken: next };
      });
      const nameOf = await namesFor(cli, things, options);
      cli.answer(
        ListMigrationsResponse,
        { migrations: things, nextPageToken },
        migrationsBlocks(things, nameOf, nextPageToken),
      );
    });
}

export function migrateShow(cli: Cli) {
  return withScope('show')
    .description('Show a migration and the next step.')
    .argument('[migration]', 'its id, or the project; default: the current project')
    .action(async (given, options) => {
      const { migration } = await findMigration(cli, given, options);
      const nameOf = await namesFor(cli, [migration], options);
      cli.answer(GetMigrationResponse, { migration }, [
        ...migrationBlocks(migration, nameOf),
        ...nextBlocks(migration),
      ]);
    });
}

/** Names for the ids in migrations; staff has no right to look them up. */
async function namesFor(
  cli: Cli,
  migrations: readonly Migration[],
  { staff }: MigrationOptions,
): Promise<NameOf> {
  if (staff) return namesFrom(new Map());
  return await namesEverywhere(cli, idsIn(migrations), organizationsIn(migrations));
}
