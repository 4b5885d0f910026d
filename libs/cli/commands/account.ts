import { Command } from '@commander-js/extra-typings';
import {
  Account,
  GetAccountResponse,
  UpdateAccountResponse,
} from '@silo/protos/gen/silo/org/v1/account_service.ts';
import type { Cli } from '../cli.ts';
import { present } from '../find.ts';
import { accountBlocks } from '../render/accounts.ts';

export function account(cli: Cli) {
  return new Command('account')
    .description('Your own account.')
    .addCommand(show(cli), { isDefault: true })
    .addCommand(rename(cli));
}

function show(cli: Cli) {
  return new Command('show').description('Show it.').action(async () => {
    const { api } = await cli.signedIn();
    const answer = await api.accounts.getAccount({});
    cli.answer(GetAccountResponse, answer, accountBlocks(present(answer.account)));
  });
}

function rename(cli: Cli) {
  return new Command('rename')
    .description('Change the name that others see.')
    .argument('<name>', 'the new name')
    .action(async (displayName) => {
      const { api } = await cli.signedIn();
      const changed = Account.fromPartial({ displayName });
      const updateMask = ['display_name'];
      const answer = await api.accounts.updateAccount({
        account: changed,
        updateMask,
        requestId: '',
      });
      cli.answer(UpdateAccountResponse, answer, accountBlocks(present(answer.account)));
    });
}
