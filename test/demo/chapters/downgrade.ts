import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { claim, refused } from '../claim.ts';
import { type Cast, claimTokenRefused, type Stage } from '../stage.ts';
import type { Projects } from './upgrade.ts';

/** Reduces to one project, and returns to the free plan. */
export async function downgrade(stage: Stage, { ada }: Cast, { recommended }: Projects) {
  const { narrator } = stage;
  const { api, organization, defaultProject } = ada;
  const about = organization.id;
  narrator.chapter('Back to the free plan');

  await narrator.step('Four projects are too many for it', async (step) => {
    const refusal = await refused('PLAN_LIMIT_EXCEEDED', api.changePlan(about, Plan.PLAN_FREE));
    step.refusal(refusal);
    claim('the counts', [refusal.metadata.limit, refusal.metadata.count], ['1', '4']);
    const { plan } = await api.getSubscription(about);
    claim('the plan', plan, Plan.PLAN_PAY_AS_YOU_GO);
  });

  for (const { id, name, token } of recommended) {
    await narrator.step(`Ada deletes ${name}: its token is refused at once`, async (step) => {
      const project = await api.deleteProject(id);
      const why = await claimTokenRefused(stage, token);
      await refused('PROJECT_NOT_FOUND', api.getProject(id));
      claim('the state', project.state, ProjectState.PROJECT_STATE_DELETED);
      step.say(`${token} refused, ${why}`);
      step.say(`data and token are purged ${project.purgeTime?.toISOString()}`);
      await step.events({ type: 'project.deleted', about: id, body: { organizationId: about } });
    });
  }

  await narrator.step('One project is left, and the free plan takes it', async (step) => {
    const left = await api.listProjects(about);
    claim(
      'the project that is left',
      left.map(({ id }) => id),
      [defaultProject.id],
    );
    const { plan, projectLimit, projectCount } = await api.changePlan(about, Plan.PLAN_FREE);
    claim('plan, limit and count', [plan, projectLimit, projectCount], [Plan.PLAN_FREE, 1, 1]);
    step.say('1 of 1 projects, on the free plan');
    await step.events(
      { type: 'project.slots_changed', about, body: { oldLimit: 6, limit: 1, count: 1 } },
      {
        type: 'billing.plan_changed',
        about,
        body: { oldPlan: 'PLAN_PAY_AS_YOU_GO', plan: 'PLAN_FREE' },
      },
    );
    await refused('PROJECT_LIMIT', api.createProject(about, 'One too many'));
  });
}
