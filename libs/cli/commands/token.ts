import { Command } from '@commander-js/extra-typings';
import type { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import {
  GetProjectTokenResponse,
  RegenerateProjectTokenResponse,
} from '@silo/protos/gen/silo/token/v1/project_token_service.ts';
import type { Cli } from '../cli.ts';
import { present } from '../find.ts';
import { group } from '../group.ts';
import { tokenBlocks } from '../render/projects.ts';
import { propagationBlocks } from '../render/propagation.ts';

export function token(cli: Cli) {
  return group('token', 'A project’s token, which allows an app to send data but not to read it.', [
    show(cli),
    regenerate(cli),
  ]);
}

function show(cli: Cli) {
  return new Command('show')
    .description('Show it.')
    .argument('[project]', 'name, Organization/Name, or id; default: the current one')
    .action(async (given) => {
      const { api, find, lookUp } = await cli.signedIn();
      const projectId = await find.idOf.project(given);
      const answer = await api.projectTokens.getProjectToken({ projectId });
      const blocks = tokenBlocks(present(answer.projectToken), await lookUp([projectId]));
      cli.answer(GetProjectTokenResponse, answer, blocks);
    });
}

function regenerate(cli: Cli) {
  return new Command('regenerate')
    .description('Replace the token: the old one is refused as soon as this command returns.')
    .argument('[project]', 'name, Organization/Name, or id; default: the current one')
    .option(
      '--expected-fingerprint <fingerprint>',
      'only if the present token has this fingerprint',
    )
    .option('--yes', 'do not prompt for the project’s name')
    .action(async (given, { expectedFingerprint = '', yes }) => {
      const { api, find, lookUp } = await cli.signedIn();
      const agreed = yes
        ? { projectId: await find.idOf.project(given), expectedFingerprint }
        : await agree(cli, await find.project(given), expectedFingerprint);
      const { projectId, expectedFingerprint: expected } = agreed;
      const condition = expected ? ['--expected-fingerprint', expected] : [];
      cli.repeatedBy('token', 'regenerate', projectId, ...condition, '--yes');
      const request = { ...agreed, requestId: '' };
      const answer = await api.projectTokens.regenerateProjectToken(request);
      cli.answer(RegenerateProjectTokenResponse, answer, [
        ...tokenBlocks(present(answer.projectToken), await lookUp([projectId])),
        ...propagationBlocks(answer.propagation),
      ]);
    });
}

/** Prompts for confirmation to end the token that was shown. */
async function agree(cli: Cli, { id, name }: Project, expectedFingerprint: string) {
  const { api } = await cli.signedIn();
  const { projectToken } = await api.projectTokens.getProjectToken({ projectId: id });
  const fingerprint = expectedFingerprint || present(projectToken).fingerprint;
  cli.note(`Whatever sends data to ${name} with the token ${fingerprint} will be refused.`);
  await cli.prompt.confirmByTyping('the project’s name', name);
  return { projectId: id, expectedFingerprint: fingerprint };
}
