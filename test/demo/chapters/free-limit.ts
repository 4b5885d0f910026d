import { randomUUID } from 'node:crypto';
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { claim, refused } from '../claim.ts';
import type { Cast, Stage } from '../stage.ts';

/** The request for a second project that is refused here, and may be repeated unchanged later. */
export type SecondProject = { name: string; requestId: string };

/** The free plan's limit, and what is needed to upgrade. */
export async function hitFreeLimit({ narrator }: Stage, { ada }: Cast): Promise<SecondProject> {
  const organizationId = ada.organization.id;
  const second = { name: 'Mobile App', requestId: randomUUID() };
  narrator.chapter('The free plan ends at one project');

  await narrator.step('Ada creates a second project', async (step) => {
    const refusal = await refused(
      'PROJECT_LIMIT',
      ada.api.createProject(organizationId, second.name, second.requestId),
    );
    step.refusal(refusal);
    const { organization_id, limit, count } = refusal.metadata;
    claim('the metadata', [organization_id, limit, count], [organizationId, '1', '1']);
    claim('QuotaFailure is among the details', refusal.details.quotaFailure?.length, 1);
    const advice = `${refusal.message} ${refusal.details.quotaFailure?.[0]?.description}`;
    claim(
      'it says to delete or to upgrade',
      [/delete/i.test(advice), /upgrade/i.test(advice)],
      [true, true],
    );
    const projects = await ada.api.listProjects(organizationId);
    claim('how many projects there are', projects.length, 1);
  });

  await narrator.step('She chooses a bigger plan, but has no billing details', async (step) => {
    const refusal = await refused(
      'BILLING_DETAILS_REQUIRED',
      ada.api.changePlan(organizationId, Plan.PLAN_PAY_AS_YOU_GO),
    );
    step.refusal(refusal);
    const { plan } = await ada.api.getSubscription(organizationId);
    claim('the plan', plan, Plan.PLAN_FREE);
  });
  return second;
}
