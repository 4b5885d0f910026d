import { Command } from '@commander-js/extra-typings';
import {
  BatchMoveProjectsResponse,
  MoveProjectResponse,
  PreviewMoveResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { regionOf } from '@silo/tokens/ids.ts';
import { adviceFor } from '../advice.ts';
import type { Api } from '../api.ts';
import type { Cli } from '../cli.ts';
import { endedMigrations } from '../ended-migrations.ts';
import { CallFailure, Failure, usage } from '../failure.ts';
import { present } from '../find.ts';
import { planOf } from '../move-plan.ts';
import { type Plan, previewBlocks } from '../render/move-preview.ts';
import { projectsText, undoBlocks } from '../render/moves.ts';
import { propagationBlocks } from '../render/propagation.ts';
import type { Block } from '../text.ts';

export function move(cli: Cli) {
  return new Command('move')
    .description(
      'Move projects to another organization: shows what will happen, then prompts for confirmation.',
    )
    .argument('[project...]', 'name, Organization/Name, or id; default: the current one')
    .option('--to <organization>', 'the destination: name or id; prompted for if not given')
    .option('--preview', 'only show what would happen, and the preview’s fingerprint')
    .option('--yes', 'do not prompt; needs --fingerprint')
    .option('--fingerprint <fingerprint>', 'move only if the preview still has this fingerprint')
    .action(async (given, { to, preview, yes, fingerprint }) => {
      if (yes && fingerprint === undefined) {
        throw usage('--yes needs the fingerprint of what you agree to.', 'silo move --preview');
      }
      const { api } = await cli.signedIn();
      const plan = await planOf(cli, given, to);
      if (preview) {
        const answer = await previewOf(api, plan);
        const ended = cli.globals().json ? [] : await endedBy(cli, plan);
        cli.answer(PreviewMoveResponse, answer, [...previewBlocks(answer, plan), ...ended]);
        return;
      }
      const agreed = yes && fingerprint ? fingerprint : await agree(cli, api, plan, fingerprint);
      await carryOut(cli, api, plan, agreed);
    });
}

async function previewOf(
  api: Api,
  { projects, source, destination }: Plan,
): Promise<PreviewMoveResponse> {
  const [first, ...others] = projects;
  const isBatch = others.length > 0;
  try {
    return await api.projects.previewMove({
      projectId: isBatch ? '' : (first?.id ?? ''),
      sourceOrganizationId: isBatch ? source.id : '',
      projectIds: isBatch ? projects.map(({ id }) => id) : [],
      destinationOrganizationId: destination.id,
    });
  } catch (error) {
    const isAbroad = regionOf(destination.id) !== regionOf(source.id);
    if (!isAbroad || !(error instanceof CallFailure)) throw error;
    throw error.refusal?.reasonName === 'CROSS_REGION'
      ? error.advising(`silo migrate preview PROJECT --to ${destination.id}`)
      : error;
  }
}

/** The migrations that the move ends, shown below its preview. */
async function endedBy(cli: Cli, { projects, source }: Plan): Promise<Block[]> {
  const ended = await endedMigrations(
    cli,
    source.id,
    projects.map(({ id }) => id),
  );
  return ended.length === 0 ? [] : ['', ...ended];
}

/**
 * Shows what would happen and prompts for confirmation; returns the fingerprint of what was shown.
 */
async function agree(
  cli: Cli,
  api: Api,
  plan: Plan,
  fingerprint: string | undefined,
): Promise<string> {
  const { projects, destination } = plan;
  const [preview, ended] = await Promise.all([previewOf(api, plan), endedBy(cli, plan)]);
  cli.note(...previewBlocks(preview, plan), ...ended, '');
  const blocked = preview.checks.find(({ passed }) => !passed);
  if (blocked !== undefined) {
    const metadata = { organization_id: destination.id };
    const next = adviceFor({ reason: blocked.reason, metadata });
    throw new Failure('refused', blocked.description, next);
  }
  const [only, ...others] = projects;
  if (only !== undefined && others.length === 0) {
    await cli.prompt.confirmByTyping('the project’s name', only.name);
  } else {
    await cli.prompt.confirmByTyping('the destination’s name', destination.name);
  }
  return fingerprint ?? preview.planFingerprint;
}

async function carryOut(cli: Cli, api: Api, plan: Plan, planFingerprint: string): Promise<void> {
  const { projects, source, destination } = plan;
  const projectIds = projects.map(({ id }) => id);
  const common = { destinationOrganizationId: destination.id, planFingerprint, requestId: '' };
  const agreement = ['--to', destination.id, '--yes', '--fingerprint', planFingerprint];
  cli.repeatedBy('move', ...projectIds, ...agreement);
  const [projectId = '', ...others] = projectIds;
  if (others.length === 0) {
    const answer = await api.projects.moveProject({ ...common, projectId, etag: '' });
    cli.answer(MoveProjectResponse, answer, movedBlocks(plan, answer));
  } else {
    const request = { ...common, sourceOrganizationId: source.id, projectIds };
    const answer = await api.projects.batchMoveProjects(request);
    cli.answer(BatchMoveProjectsResponse, answer, movedBlocks(plan, answer));
  }
}

type Moved = Pick<BatchMoveProjectsResponse, 'move' | 'propagation'>;

function movedBlocks(
  { projects, destination }: Plan,
  { move: moved, propagation }: Moved,
): Block[] {
  const [first, ...others] = projects;
  const what = others.length === 0 ? first?.name : projectsText(projects.length);
  return [
    [{ text: 'Moved', style: 'good' }, ` ${what} to ${destination.name}.`],
    ...propagationBlocks(propagation),
    ...undoBlocks(present(moved)),
  ];
}
