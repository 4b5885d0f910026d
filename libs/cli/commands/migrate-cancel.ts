import type { Migration } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { CancelMigrationResponse } from '@silo/protos/gen/silo/project/v1/migration_service.ts';
import type { Cli } from '../cli.ts';
import { findMigration } from '../find-migration.ts';
import { isOver, progressLine } from '../render/migrations.ts';
import { withScope } from './migration-options.ts';

export function migrateCancel(cli: Cli) {
  return withScope('cancel')
    .description(
      'End a migration before its cutover: the source stays as it is, the copy is removed.',
    )
    .argument('[migration]', 'its id, or the project; default: the current project')
    .option('--yes', 'do not prompt')
    .action(async (given, { yes, ...options }) => {
      const { migration, scope } = await findMigration(cli, given, options);
      // A migration that has ended is refused, or was cancelled already: a prompt would suggest
      // otherwise.
      if (!yes && !isOver(migration)) await agree(cli, migration);
      const { id, projectName } = migration;
      cli.repeatedBy('migrate', 'cancel', id, '--yes', ...(options.staff ? ['--staff'] : []));
      const cancelled = await scope.cancel(id);
      cli.answer(CancelMigrationResponse, { migration: cancelled }, [
        [
          { text: 'Cancelled', style: 'good', id },
          `: ${projectName} stays in ${cancelled.sourceRegion}.`,
        ],
      ]);
    });
}

async function agree(cli: Cli, migration: Migration): Promise<void> {
  cli.note(progressLine(migration), 'What was copied will be removed.');
  await cli.prompt.confirmByTyping('the project’s name', migration.projectName);
}
