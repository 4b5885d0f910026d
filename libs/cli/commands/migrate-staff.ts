import {
  PurgeSourceResponse,
  RetryMigrationResponse,
  RollbackMigrationResponse,
  StartMigrationResponse,
} from '@silo/protos/gen/silo/project/internal/v1/migration_staff_service.ts';
import { type Migration, MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { Cli } from '../cli.ts';
import { Failure } from '../failure.ts';
import { present } from '../find.ts';
import { findMigration } from '../find-migration.ts';
import { endsOf, progressLine, purgeBlocks, purgeOf, saying } from '../render/migrations.ts';
import { connectStaff, type StaffOptions, staffCommand, whereOf } from '../staff.ts';
import type { Block } from '../text.ts';

const whichHelp = 'its id, or the name of its project, for the latest';

export function migrateStart(cli: Cli) {
  return staffCommand('start')
    .description('For staff of the destination’s region: start an accepted migration.')
    .argument('<migration>', whichHelp)
    .action(async (given, options) => {
      const { migration, staff } = await foundByStaff(cli, given, options);
      const { id, state } = migration;
      if (state === MigrationState.MIGRATION_STATE_DONE) {
        const done = `It is done: ${endsOf(migration)}`;
        throw new Failure('refused', done, `silo migrate show ${id} --staff${whereOf(options)}`);
      }
      const answer = await staff.startMigration({ migrationId: id });
      const isRepeat = goingOn.includes(state);
      const what = isRepeat ? 'Started already' : 'Started';
      const blocks = [saying(what, present(answer.migration)), watchHint(migration, options)];
      cli.answer(StartMigrationResponse, answer, blocks);
    });
}

export function migrateRetry(cli: Cli) {
  return staffCommand('retry')
    .description('For staff of the destination’s region: retry a failed migration.')
    .argument('<migration>', whichHelp)
    .option(
      '--discard-unmatched',
      'remove events that only this region has, and replace different ones with the source’s',
    )
    .option('--yes', 'do not prompt')
    .action(async (given, { yes, discardUnmatched = false, ...options }) => {
      const { migration, staff } = await foundByStaff(cli, given, options);
      const { id: migrationId, destinationRegion, sourceRegion } = migration;
      if (discardUnmatched && !yes) {
        const what = `Events that only ${destinationRegion} has will be removed, and different ones replaced with those of ${sourceRegion}. They may be the only copies.`;
        await agree(cli, migration, what);
      }
      const answer = await staff.retryMigration({ migrationId, discardUnmatched });
      const blocks = [saying('Goes on', present(answer.migration)), watchHint(migration, options)];
      cli.answer(RetryMigrationResponse, answer, blocks);
    });
}

export function migrateRollback(cli: Cli) {
  return staffCommand('rollback')
    .description('For staff of the source’s region: take a finished migration back.')
    .argument('<migration>', whichHelp)
    .option('--yes', 'do not prompt')
    .action(async (given, { yes, ...options }) => {
      const { migration, staff } = await foundByStaff(cli, given, options);
      // The project's name finds the latest migration. If that is the rollback itself, taking it
      // back would move the project the other way.
      if (given !== migration.id) refuseRollback(migration, options);
      if (!yes) {
        await agree(cli, migration, `It returns to ${migration.sourceRegion}, with all events.`);
      }
      const answer = await staff.rollbackMigration({ migrationId: migration.id });
      const back = present(answer.migration);
      const what = back.id === migration.rolledBackBy ? 'Goes back already' : 'Goes back';
      const blocks = [saying(what, back), watchHint(back, options)];
      cli.answer(RollbackMigrationResponse, answer, blocks);
    });
}

export function migratePurge(cli: Cli) {
  return staffCommand('purge')
    .description(
      'For staff of the source’s region: compare both copies, then remove the copy at the source.',
    )
    .argument('<migration>', whichHelp)
    .option('--yes', 'do not prompt')
    .action(async (given, { yes, ...options }) => {
      const { migration, staff } = await foundByStaff(cli, given, options);
      // A repeat starts nothing new.
      const before = purgeOf(migration);
      if (!yes && before === undefined) {
        const what = `Its events in ${migration.sourceRegion} will be removed: then no rollback is possible.`;
        await agree(cli, migration, what);
      }
      const answer = await staff.purgeSource({ migrationId: migration.id });
      const look = `silo migrate show ${migration.id} --staff${whereOf(options)}`;
      const blocks = purgeBlocks(present(answer.migration), {
        isRepeat: before !== undefined,
        look,
      });
      cli.answer(PurgeSourceResponse, answer, blocks);
    });
}

const goingOn: readonly MigrationState[] = [
  MigrationState.MIGRATION_STATE_COPYING,
  MigrationState.MIGRATION_STATE_VERIFYING,
  MigrationState.MIGRATION_STATE_CUTOVER,
];

/** Refuses to roll back a migration that is itself a rollback, and says what happened to it. */
function refuseRollback(
  { id, state, rollbackOf, projectName, destinationRegion }: Migration,
  options: StaffOptions,
): void {
  if (rollbackOf === '') return;
  const where = whereOf(options);
  switch (state) {
    case MigrationState.MIGRATION_STATE_CANCELLED:
      throw new Failure(
        'refused',
        `Taking ${projectName} back to ${destinationRegion} was cancelled.`,
        `to try it again: silo migrate rollback ${rollbackOf}${where}`,
      );
    case MigrationState.MIGRATION_STATE_DONE:
      throw new Failure(
        'refused',
        `${projectName} was taken back to ${destinationRegion} already.`,
        `silo migrate show ${id} --staff${where}`,
      );
    default:
      throw new Failure(
        'refused',
        `${projectName} is being taken back to ${destinationRegion} already.`,
        `silo migrate watch ${id} --staff${where}`,
      );
  }
}

async function foundByStaff(cli: Cli, given: string, options: StaffOptions) {
  const { migration } = await findMigration(cli, given, { ...options, staff: true });
  return { migration, staff: await connectStaff(cli, options) };
}

async function agree(cli: Cli, migration: Migration, what: string): Promise<void> {
  cli.note(progressLine(migration), what);
  await cli.prompt.confirmByTyping('the project’s name', migration.projectName);
}

function watchHint({ id }: Migration, options: StaffOptions): Block {
  const text = `silo migrate watch ${id} --staff${whereOf(options)}`;
  return ['Follow it: ', { text, style: 'bold' }];
}
