import type { ReasonName } from '@silo/errors/reason-name.ts';
import { reasonName } from '@silo/errors/reason-name.ts';
import { claim, given, refused } from '../claim.ts';
import type { Cast, Stage } from '../stage.ts';
import type { Projects } from './upgrade.ts';

/** The moves that are refused, each with its message; none of them changes anything. */
export async function refuseMoves(stage: Stage, { ada, grace }: Cast, { recommended }: Projects) {
  const { narrator, region } = stage;
  const { api, organization } = ada;
  const { id: stagingId } = given(
    recommended.find(({ name }) => name === 'Staging'),
    'project named Staging',
  );
  narrator.chapter('The moves that are refused');

  const notebook = await narrator.step(
    'Ada creates another organization, on the free plan',
    async (step) => {
      const created = await api.createOrganization('Notebook');
      const { id, name } = given(created.organization, 'organization');
      narrator.name(id, name);
      narrator.name(created.projectId, `${name}’s Default Project`);
      step.say(`${name}, with ${created.projectId}`);
      await step.events(
        { type: 'org.organization_created', about: id },
        { type: 'billing.subscription_created', about: id, body: { plan: 'PLAN_FREE' } },
        { type: 'project.created', about: created.projectId },
        { type: 'token.created', about: created.projectId },
      );
      return { id, projectId: created.projectId };
    },
  );

  const refuse = (title: string, reason: ReasonName, projectId: string, destinationId: string) =>
    narrator.step(title, async (step) => {
      const before = await api.getProject(projectId);
      step.refusal(await refused(reason, api.moveProject(projectId, destinationId)));
      claim('the project afterwards', await api.getProject(projectId), before);
    });
  await refuse(
    'To an organization of which she is not a member: as if it did not exist',
    'ORGANIZATION_NOT_FOUND',
    stagingId,
    grace.organization.id,
  );
  await refuse('To where it is already', 'ALREADY_THERE', stagingId, organization.id);
  await refuse('To an organization that is full', 'PROJECT_LIMIT', stagingId, notebook.id);
  await refuse(
    'The last project of an organization',
    'LAST_PROJECT',
    notebook.projectId,
    organization.id,
  );
  const elsewhere = region === 'eu' ? 'us' : 'eu';
  const abroad = organization.id.replace(`org_${region}_`, `org_${elsewhere}_`);
  await refuse('To another region', 'CROSS_REGION', stagingId, abroad);

  await narrator.step('She could have listed before where the project can go', async (step) => {
    const destinations = await api.listMoveDestinations(stagingId);
    const listed = destinations.map(({ organizationName, blockers }) => ({
      organizationName,
      blockers: blockers.map(({ reason }) => reasonName(reason)),
    }));
    claim('the destinations', listed, [
      { organizationName: 'Notebook', blockers: ['PROJECT_LIMIT'] },
    ]);
    for (const { organizationName, blockers } of destinations) {
      step.say(`${organizationName}: ${blockers.map(({ description }) => description).join('; ')}`);
    }
  });
}
