import { Command } from '@commander-js/extra-typings';
import {
  GetSubscriptionResponse,
  ListPlansResponse,
} from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import type { Cli } from '../cli.ts';
import { present } from '../find.ts';
import { group } from '../group.ts';
import { plansBlocks, subscriptionBlocks } from '../render/plans.ts';
import { planBillingDetails } from './plan-billing-details.ts';
import { planChange } from './plan-change.ts';

export function plan(cli: Cli) {
  return group('plan', 'An organization’s plan and billing details.', [
    show(cli),
    list(cli),
    planChange(cli),
    planBillingDetails(cli),
  ]);
}

function show(cli: Cli) {
  return new Command('show')
    .description('Show the plan, the project limit, and the number of projects.')
    .option('--org <organization>', 'name or id; default: that of the current project')
    .action(async ({ org }) => {
      const { api, find, lookUp } = await cli.signedIn();
      const organizationId = await find.idOf.organization(org);
      const answer = await api.billing.getSubscription({ organizationId });
      const nameOf = await lookUp([organizationId]);
      const blocks = subscriptionBlocks(present(answer.subscription), nameOf);
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
