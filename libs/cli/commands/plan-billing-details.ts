import { Command } from '@commander-js/extra-typings';
import {
  type BillingDetails,
  UpdateBillingDetailsResponse,
} from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { aCountry, anEmail, textOf } from '../checks.ts';
import type { Cli } from '../cli.ts';
import { present } from '../find.ts';
import { forOrg } from '../for-org.ts';
import { type Field, fillIn } from '../form.ts';
import { subscriptionBlocks } from '../render/plans.ts';

export function planBillingDetails(cli: Cli) {
  return new Command('billing-details')
    .description(
      'Set the billing details. Prompts for what is not given, and offers the old details.',
    )
    .option('--company <name>', 'company or person')
    .option('--email <email>', 'where invoices go')
    .option('--address <address>', 'postal address')
    .option('--country <code>', 'two letters, such as DE')
    .option('--tax-id <number>', 'tax number, if there is one; default: the old one')
    .option('--org <organization>', 'name or id; default: that of the current project')
    .action(({ taxId, org, ...options }) =>
      forOrg(org, async () => {
        const { api, find, lookUp } = await cli.signedIn();
        const organizationId = await find.idOf.organization(org);
        const { subscription } = await api.billing.getSubscription({ organizationId });
        const old = subscription?.billingDetails;
        const answer = await fillIn(cli, formOf(options, old), ({ countryCode, ...values }) =>
          api.billing.updateBillingDetails({
            organizationId,
            billingDetails: {
              ...values,
              countryCode: countryCode.toUpperCase(),
              taxId: taxId ?? old?.taxId ?? '',
            },
            etag: '',
            requestId: '',
          }),
        );
        const nameOf = await lookUp([organizationId]);
        const blocks = subscriptionBlocks(present(answer.subscription), nameOf);
        cli.answer(UpdateBillingDetailsResponse, answer, blocks);
      }),
    );
}

type Options = {
  company?: string | undefined;
  email?: string | undefined;
  address?: string | undefined;
  country?: string | undefined;
};

function formOf(options: Options, old: BillingDetails | undefined) {
  const field = (name: string, rest: Omit<Field, 'fields'>): Field => ({
    ...rest,
    fields: [`billing_details.${name}`],
  });
  return {
    companyName: field('company_name', {
      given: options.company,
      message: 'Company:',
      instead: 'give --company.',
      check: textOf(200),
      initial: old?.companyName,
    }),
    email: field('email', {
      given: options.email,
      message: 'E-mail for invoices:',
      instead: 'give --email.',
      check: anEmail,
      initial: old?.email,
    }),
    address: field('address', {
      given: options.address,
      message: 'Postal address:',
      instead: 'give --address.',
      check: textOf(500),
      initial: old?.address,
    }),
    countryCode: field('country_code', {
      given: options.country,
      message: 'Country (two letters):',
      instead: 'give --country.',
      check: aCountry,
      initial: old?.countryCode,
    }),
  };
}
