import { Command } from '@commander-js/extra-typings';
import {
  Account,
  GetAccountResponse,
  UpdateAccountResponse,
} from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { textOf } from '../checks.ts';
import type { Cli } from '../cli.ts';
import { present } from '../find.ts';
import { group } from '../group.ts';
import { accountBlocks } from '../render/accounts.ts';

export function account(cli: Cli) {
  return group('account', 'Your own account.', [show(cli), rename(cli)]);
}

function show(cli: Cli) {
  return new Command('show').description('Show it.').action(async () => {
    const { api, lookUp } = await cli.signedIn();
    const answer = await api.accounts.getAccount({});
    const account = present(answer.account);
    const nameOf = await lookUp([account.currentProjectId]);
    cli.answer(GetAccountResponse, answer, accountBlocks(account, nameOf));
  });
}

function rename(cli: Cli) {
  return new Command('rename')
    .description('Change the name that others see.')
    .argument('[name]', 'the new name; prompted for if not given')
    .action(async (given) => {
      const { api, lookUp } = await cli.signedIn();
      const displayName =
        given ?? (await cli.prompt.text('New name:', 'give a name.', { check: textOf(64) }));
      const changed = Account.fromPartial({ displayName });
      const updateMask = ['display_name'];
      const answer = await api.accounts.updateAccount({
        account: changed,
        updateMask,
        requestId: '',
      });
      const account = present(answer.account);
      const nameOf = await lookUp([account.currentProjectId]);
      cli.answer(UpdateAccountResponse, answer, accountBlocks(account, nameOf));
    });
}
