import { Argument, Command } from '@commander-js/extra-typings';
import { ChangePlanResponse } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { chooseOf } from '../choose.ts';
import type { Cli } from '../cli.ts';
import { Failure } from '../failure.ts';
import { present } from '../find.ts';
import { forOrg } from '../for-org.ts';
import { planChangeBlocks, subscriptionBlocks } from '../render/plans.ts';
import {
  limitText,
  type PlanName,
  planNamed,
  planNameOf,
  planNames,
  planText,
} from '../render/values.ts';

export function planChange(cli: Cli) {
  return new Command('change')
    .description('Change the plan at once: shows what changes, then prompts for confirmation.')
    .addArgument(
      new Argument('[plan]', 'the new plan; prompted for if not given').choices(planNames),
    )
    .option('--org <organization>', 'name or id; default: that of the current project')
    .option('--yes', 'do not prompt for the plan’s name')
    .action((given, { org, yes }) =>
      forOrg(org, async () => {
        const { api, find, lookUp } = await cli.signedIn();
        const organizationId = await find.idOf.organization(org);
        const name = given ?? (await choosePlan(cli, organizationId));
        if (!yes) await agree(cli, organizationId, name);
        cli.repeatedBy('plan', 'change', name, '--org', organizationId, '--yes');
        const request = { organizationId, plan: planNamed(name), etag: '', requestId: '' };
        const answer = await api.billing.changePlan(request);
        const nameOf = await lookUp([organizationId]);
        const blocks = subscriptionBlocks(present(answer.subscription), nameOf);
        cli.answer(ChangePlanResponse, answer, blocks);
      }),
    );
}

/** Lets the user choose a plan other than the present one. */
async function choosePlan(cli: Cli, organizationId: string): Promise<PlanName> {
  const { api } = await cli.signedIn();
  const [{ plans }, { subscription }] = cli.prompt.possible
    ? await Promise.all([
        api.billing.listPlans({}),
        api.billing.getSubscription({ organizationId }),
      ])
    : [{ plans: [] }, {}];
  // A plan that only a newer release knows cannot be chosen here.
  const things = plans.flatMap((plan) => {
    const name = planNameOf(plan.plan);
    return name === undefined || plan.plan === subscription?.plan
      ? []
      : [{ name, limit: limitText(plan.projectLimit), price: plan.price }];
  });
  const chosen = await chooseOf(cli.prompt, {
    message: 'New plan:',
    things,
    listed: ({ name, limit, price }) => ({ name: `${name} (${limit}, ${price})` }),
    instead: 'name the plan.',
    none: 'silo plan list',
  });
  return chosen.name;
}

/** Shows what changes and prompts for confirmation, unless the change would be refused. */
async function agree(cli: Cli, organizationId: string, name: PlanName): Promise<void> {
  const { api, lookUp } = await cli.signedIn();
  const [{ subscription }, { plans }, nameOf] = await Promise.all([
    api.billing.getSubscription({ organizationId }),
    api.billing.listPlans({}),
    lookUp([organizationId]),
  ]);
  const before = present(subscription);
  const wanted = present(plans.find(({ plan }) => planText(plan) === name));
  if (before.plan === wanted.plan) {
    throw new Failure('refused', `The plan is ${name} already.`, 'silo plan list');
  }
  cli.note(...planChangeBlocks(before, plans, wanted, nameOf));
  if (wanted.billingDetailsRequired && before.billingDetails === undefined) {
    const next = 'silo plan billing-details, then again';
    throw new Failure('refused', 'A paid plan needs billing details.', next);
  }
  await cli.prompt.confirmByTyping('the plan’s name', name);
}
