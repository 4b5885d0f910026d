import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { claim } from '../claim.ts';
import {
  type Cast,
  claimTokenGood,
  type Person,
  type Stage,
  type TokenedProject,
} from '../stage.ts';
import type { SecondProject } from './free-limit.ts';

const recommendedNames = ['Local Development', 'Staging', 'Production'];

/** Ada's projects besides the default one. */
export type Projects = { mobile: TokenedProject; recommended: TokenedProject[] };

/** Both upgrade; Ada gets the project that she was refused, and the recommended three. */
export async function upgrade(stage: Stage, cast: Cast, second: SecondProject): Promise<Projects> {
  const { narrator } = stage;
  narrator.chapter('Both upgrade, and there is room');
  await payAsYouGo(stage, cast.ada);
  await payAsYouGo(stage, cast.grace);
  const mobile = await createSecond(stage, cast.ada, second);
  const recommended = await createRecommended(stage, cast.ada);
  return { mobile, recommended };
}

async function payAsYouGo({ narrator }: Stage, { name, email, organization, api }: Person) {
  const about = organization.id;
  await narrator.step(
    `${name} enters billing details, and upgrades to pay as you go`,
    async (step) => {
      await api.updateBillingDetails(about, {
        companyName: organization.name,
        email,
        address: '1 Example Street, Exampleton',
        countryCode: 'GB',
        taxId: '',
      });
      const { plan, projectLimit, projectCount } = await api.changePlan(
        about,
        Plan.PLAN_PAY_AS_YOU_GO,
      );
      claim('the plan', plan, Plan.PLAN_PAY_AS_YOU_GO);
      claim('limit and count', [projectLimit, projectCount], [6, 1]);
      step.say('1 of 6 projects, at once');
      await step.events(
        { type: 'billing.billing_details_updated', about },
        { type: 'project.slots_changed', about, body: { oldLimit: 1, limit: 6, count: 1 } },
        {
          type: 'billing.plan_changed',
          about,
          body: { oldPlan: 'PLAN_FREE', plan: 'PLAN_PAY_AS_YOU_GO' },
        },
      );
    },
  );
}

async function createSecond(
  stage: Stage,
  { api, organization }: Person,
  { name, requestId }: SecondProject,
): Promise<TokenedProject> {
  const { narrator } = stage;
  const organizationId = organization.id;
  const title = 'Ada repeats the very request that was refused, and gets her second project';
  return await narrator.step(title, async (step) => {
    const { project, token } = await api.createProject(organizationId, name, requestId);
    narrator.name(project.id, name);
    claim('the project', [project.name, project.organizationId], [name, organizationId]);
    const again = await api.createProject(organizationId, name, requestId);
    claim('the answer to one more repeat', [again.project.id, again.token], [project.id, token]);
    claim('how many projects there are', (await api.listProjects(organizationId)).length, 2);
    await claimTokenGood(stage, token, { projectId: project.id, organizationId });
    step.say(`${name}, token ${token}`);
    step.say('one more repeat gives the same answer, and no third project');
    await step.events(
      { type: 'project.created', about: project.id, body: { name, organizationId } },
      { type: 'token.created', about: project.id },
    );
    return { id: project.id, name, token };
  });
}

async function createRecommended(stage: Stage, { api, organization }: Person) {
  const { narrator } = stage;
  const organizationId = organization.id;
  const title = 'She takes the recommended three: local development, staging, production';
  return await narrator.step(title, async (step) => {
    const created = await api.createRecommendedProjects(organizationId);
    const names = created.map(({ project }) => project.name);
    claim('the names', names.toSorted(), recommendedNames.toSorted());
    for (const { project, token } of created) {
      narrator.name(project.id, project.name);
      await claimTokenGood(stage, token, { projectId: project.id, organizationId });
      step.say(`${project.name}, token ${token}`);
    }
    const missing = await api.createRecommendedProjects(organizationId);
    claim('what a repeat creates', missing, []);
    const { projectLimit, projectCount } = await api.getSubscription(organizationId);
    claim('limit and count', [projectLimit, projectCount], [6, 5]);
    step.say('5 of 6 projects; repeated once more, nothing is missing');
    await step.events(
      ...created.map(({ project: { id, name } }) => ({
        type: 'project.created',
        about: id,
        body: { name, organizationId },
      })),
      ...created.map(({ project: { id } }) => ({ type: 'token.created', about: id })),
    );
    return created.map(({ project, token }) => ({ id: project.id, name: project.name, token }));
  });
}
