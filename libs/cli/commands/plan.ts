import { Argument, Command } from '@commander-js/extra-typings';
import {
  ChangePlanResponse,
  GetSubscriptionResponse,
  ListPlansResponse,
} from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import type { Cli } from '../cli.ts';
import { present } from '../find.ts';
import { plansBlocks, subscriptionBlocks } from '../render/plans.ts';
import { planNamed, planNames } from '../render/values.ts';
import { planBillingDetails } from './plan-billing-details.ts';

export function plan(cli: Cli) {
  return new Command('plan')
    .description('An organization’s plan and billing details.')
    .addCommand(show(cli), { isDefault: true })
    .addCommand(list(cli))
    .addCommand(change(cli))
    .addCommand(planBillingDetails(cli));
}

function show(cli: Cli) {
  return new Command('show')
    .description('Show the plan, how many projects it allows, and how many there are.')
    .option('--org <organization>', 'name or id; default: that of the current project')
    .action(async ({ org }) => {
      const { api, find } = await cli.signedIn();
      const organizationId = await find.idOf.organization(org);
      const answer = await api.billing.getSubscription({ organizationId });
      const blocks = subscriptionBlocks(present(answer.subscription));
      cli.answer(GetSubscriptionResponse, answer, blocks);
    });
}

function list(cli: Cli) {
  return new Command('list').description('List the plans.').action(async () => {
    const { api } = await cli.signedIn();
    const answer = await api.billing.listPlans({});
    cli.answer(ListPlansResponse, answer, plansBlocks(answer.plans));
  });
}

function change(cli: Cli) {
  return new Command('change')
    .description('Change the plan, at once.')
    .addArgument(new Argument('<plan>', 'the new plan').choices(planNames))
    .option('--org <organization>', 'name or id; default: that of the current project')
    .action(async (name, { org }) => {
      const { api, find } = await cli.signedIn();
      const organizationId = await find.idOf.organization(org);
      const request = { organizationId, plan: planNamed(name), etag: '', requestId: '' };
      const answer = await api.billing.changePlan(request);
      const blocks = subscriptionBlocks(present(answer.subscription));
      cli.answer(ChangePlanResponse, answer, blocks);
    });
}
