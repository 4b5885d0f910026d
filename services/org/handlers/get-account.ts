import { errors } from '@silo/errors/errors.ts';
import type {
  GetAccountRequest,
  GetAccountResponse,
} from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { type Handler, keyCaller } from '@silo/rpc/call.ts';
import { accountMessage } from '../messages.ts';
import { withReadableProject } from './current-project.ts';
import type { Dependencies } from './dependencies.ts';

/** Answers the account that the key belongs to. */
export function createGetAccount({
  stores,
  access,
}: Pick<Dependencies, 'stores' | 'access'>): Handler<GetAccountRequest, GetAccountResponse> {
  return async (_request, call) => {
    const { accountId } = keyCaller(call).key;
    const account = await stores.accounts.find(accountId, call.signal);
    if (account === undefined) throw errors.accountNotFound(accountId);
    return { account: accountMessage(await withReadableProject(access, call, account)) };
  };
}
