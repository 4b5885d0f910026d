import { errors } from '@silo/errors/errors.ts';
import type {
  GetAccountRequest,
  GetAccountResponse,
} from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import { accountMessage } from '../messages.ts';
import type { Dependencies } from './dependencies.ts';
import { withReadableProject } from './shared/current-project.ts';

/** Returns the account that owns the calling key. */
export async function getAccount(
  _request: GetAccountRequest,
  call: Call,
  { stores, access }: Pick<Dependencies, 'stores' | 'access'>,
): Promise<GetAccountResponse> {
  const { accountId } = keyCaller(call).key;
  const account = await stores.accounts.find(accountId, call.signal);
  if (account === undefined) throw errors.accountNotFound(accountId);
  return { account: accountMessage(await withReadableProject(access, call, account)) };
}
