import type { Migration } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { CancelMigrationResponse } from '@silo/protos/gen/silo/project/v1/migration_service.ts';
import type { Cli } from '../cli.ts';
import { findMigration } from '../find-migration.ts';
import { isOver, progressLine } from '../render/migrations.ts';
import { withScope } from './migration-options.ts';

export function migrateCancel(cli: Cli) {
  return withScope('cancel')
    .description(
      'End a migration before its cutover: the source stays as it is. The copy is removed, unless events of an earlier migration are there.',
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

/** The effect on the copied events. They cannot be distinguished from those of an earlier stay. */
function whatRemains({ rollbackOf, destinationRegion }: Migration): string {
  if (rollbackOf === '') {
    return `The copied events will be removed, unless ${destinationRegion} had events of the project before.`;
  }
  return `The events in ${destinationRegion}, copied ones too, are kept until ${rollbackOf} is purged.`;
}

async function agree(cli: Cli, migration: Migration): Promise<void> {
  cli.note(progressLine(migration), whatRemains(migration));
  await cli.prompt.confirmByTyping('the project’s name', migration.projectName);
}
