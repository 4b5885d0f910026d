import { Command } from '@commander-js/extra-typings';
import { AcceptMigrationResponse } from '@silo/protos/gen/silo/project/v1/migration_service.ts';
import { isId } from '@silo/tokens/ids.ts';
import type { Cli } from '../cli.ts';
import { CallFailure, usage } from '../failure.ts';
import { present } from '../find.ts';
import { nextBlocks } from '../render/migrations.ts';

export function migrateAccept(cli: Cli) {
  return new Command('accept')
    .description('Accept a migration into an organization of this region. Staff starts it.')
    .argument('<migration>', 'its id, mig_…, which silo migrate request printed')
    .option('--org <organization>', 'name or id; default: that of the current project')
    .action(async (migrationId, { org }) => {
      if (!isId('migration', migrationId)) {
        // Until it is accepted, this region knows nothing of the migration, not even the project's
        // name.
        throw usage(
          `"${migrationId}" is not the id of a migration.`,
          'silo migrate request printed it: mig_…',
        );
      }
      const { api, find, lookUp } = await cli.signedIn();
      const organizationId = await find.idOf.organization(org);
      cli.repeatedBy('migrate', 'accept', migrationId, '--org', organizationId);
      const request = { migrationId, organizationId, requestId: '' };
      const answer = await api.migrations.acceptMigration(request).catch((error: unknown) => {
        throw error instanceof CallFailure ? afterwards(error, migrationId) : error;
      });
      const migration = present(answer.migration);
      const nameOf = await lookUp([organizationId]);
      cli.answer(AcceptMigrationResponse, answer, [
        [
          { text: 'Accepted', style: 'good', id: migration.id },
          `: ${migration.projectName}, from ${migration.sourceRegion}, into `,
          nameOf(organizationId),
          '.',
        ],
        ...nextBlocks(migration),
      ]);
    });
}

/** The refusal of a migration that was accepted before or has ended, with the next step. */
function afterwards(failure: CallFailure, migrationId: string): CallFailure {
  const { reasonName, metadata } = failure.refusal ?? {};
  // The source may not know yet that it was accepted here.
  const isOpenHere =
    reasonName === 'MIGRATION_IN_PROGRESS' && metadata?.migration_id === migrationId;
  if (!isOpenHere && reasonName !== 'MIGRATION_STATE') return failure;
  const state = isOpenHere ? 'ACCEPTED' : metadata?.state;
  const next = nextCommands[state ?? ''];
  // This region may have no record of it, so a list would show nothing.
  if (next === undefined) return failure.advising('ask an admin of the source what happened to it');
  return failure.saying('It is accepted already.').advising(`${next} ${migrationId}`);
}

const nextCommands: Partial<Record<string, string>> = {
  ACCEPTED: 'staff of this region starts it: silo migrate start',
  COPYING: 'silo migrate watch',
  VERIFYING: 'silo migrate watch',
  CUTOVER: 'silo migrate watch',
  FAILED: 'silo migrate show',
  DONE: 'silo migrate show',
};
