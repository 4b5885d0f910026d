import { Command } from '@commander-js/extra-typings';
import { UpdateBillingDetailsResponse } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import type { Cli } from '../cli.ts';
import { present } from '../find.ts';
import { subscriptionBlocks } from '../render/plans.ts';

export function planBillingDetails(cli: Cli) {
  const { prompt } = cli;
  return new Command('billing-details')
    .description('Set the billing details. Prompts for missing values; replaces all old details.')
    .option('--company <name>', 'company or person')
    .option('--email <email>', 'where invoices go')
    .option('--address <address>', 'postal address')
    .option('--country <code>', 'two letters, such as DE')
    .option('--tax-id <number>', 'tax number, if there is one', '')
    .option('--org <organization>', 'name or id; default: that of the current project')
    .action(async ({ company, email, address, country, taxId, org }) => {
      const { api, find } = await cli.signedIn();
      const organizationId = await find.idOf.organization(org);
      const billingDetails = {
        companyName: company ?? (await prompt.text('Company:', 'give --company.')),
        email: email ?? (await prompt.text('E-mail for invoices:', 'give --email.')),
        address: address ?? (await prompt.text('Postal address:', 'give --address.')),
        countryCode: country ?? (await prompt.text('Country (two letters):', 'give --country.')),
        taxId,
      };
      const request = { organizationId, billingDetails, etag: '', requestId: '' };
      const answer = await api.billing.updateBillingDetails(request);
      const blocks = subscriptionBlocks(present(answer.subscription));
      cli.answer(UpdateBillingDetailsResponse, answer, blocks);
    });
}
