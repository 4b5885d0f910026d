import { Command } from '@commander-js/extra-typings';
import {
  PreviewMigrationResponse,
  RequestMigrationResponse,
} from '@silo/protos/gen/silo/project/v1/migration_service.ts';
import type { Cli } from '../cli.ts';
import { usage } from '../failure.ts';
import { present } from '../find.ts';
import { organizationElsewhere } from '../other-regions.ts';
import { type MigrationPlan, migrationPreviewBlocks, nextBlocks } from '../render/migrations.ts';

const toHelp =
  'the destination: an organization in another region, by id, or by name if one of your profiles sees it';

export function migratePreview(cli: Cli) {
  return new Command('preview')
    .description('Show what a migration to another region would do, without changing anything.')
    .argument('[project]', 'name, Organization/Name, or id; default: the current one')
    .option('--to <organization>', toHelp)
    .action(async (given, { to }) => {
      const plan = await planOf(cli, given, to);
      const answer = await previewOf(cli, plan);
      cli.answer(PreviewMigrationResponse, answer, migrationPreviewBlocks(answer, plan));
    });
}

export function migrateRequest(cli: Cli) {
  return new Command('request')
    .description(
      'Request a migration: shows what it would do, then prompts for confirmation. An admin of the destination accepts it.',
    )
    .argument('[project]', 'name, Organization/Name, or id; default: the current one')
    .option('--to <organization>', toHelp)
    .option('--yes', 'do not prompt; needs --fingerprint')
    .option('--fingerprint <fingerprint>', 'only if the preview still has this fingerprint')
    .action(async (given, { to, yes, fingerprint }) => {
      if (yes && fingerprint === undefined) {
        const next = 'silo migrate preview';
        throw usage('--yes needs the fingerprint of what you agree to.', next);
      }
      const { api } = await cli.signedIn();
      const plan = await planOf(cli, given, to);
      const agreed = yes && fingerprint ? fingerprint : await agree(cli, plan, fingerprint);
      const { project, destination } = plan;
      const agreement = ['--to', destination.id, '--yes', '--fingerprint', agreed];
      cli.repeatedBy('migrate', 'request', project.id, ...agreement);
      const answer = await api.migrations.requestMigration({
        ...requestOf(plan),
        ...{ planFingerprint: agreed, requestId: '' },
      });
      const migration = present(answer.migration);
      cli.answer(RequestMigrationResponse, answer, [
        [
          { text: 'Requested', style: 'good', id: migration.id },
          `: ${project.name}, to ${destination.region}.`,
        ],
        ...nextBlocks(migration, destination.profile),
      ]);
    });
}

async function planOf(
  cli: Cli,
  given: string | undefined,
  to: string | undefined,
): Promise<MigrationPlan> {
  const { find, lookUp, profile } = await cli.signedIn();
  const { id, name, organizationId } = await find.project(given);
  const destination = await organizationElsewhere(cli, to);
  const nameOf = await lookUp([organizationId]);
  const source = nameOf(organizationId);
  return {
    project: { id, name },
    source: {
      id: organizationId,
      name: typeof source === 'string' ? source : source.text,
      region: profile.region,
    },
    destination,
  };
}

function requestOf({ project, destination }: MigrationPlan) {
  return {
    projectId: project.id,
    destinationRegion: destination.region,
    destinationOrganizationId: destination.id,
  };
}

async function previewOf(cli: Cli, plan: MigrationPlan): Promise<PreviewMigrationResponse> {
  const { api } = await cli.signedIn();
  return await api.migrations.previewMigration(requestOf(plan));
}

/**
 * Shows what would happen and prompts for confirmation; returns the fingerprint of what was shown.
 */
async function agree(
  cli: Cli,
  plan: MigrationPlan,
  fingerprint: string | undefined,
): Promise<string> {
  const preview = await previewOf(cli, plan);
  cli.note(...migrationPreviewBlocks(preview, plan), '');
  await cli.prompt.confirmByTyping('the project’s name', plan.project.name);
  return fingerprint ?? preview.planFingerprint;
}
