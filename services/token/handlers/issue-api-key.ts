import {
  type IssueApiKeyRequest,
  IssueApiKeyResponse,
} from '@silo/protos/gen/silo/token/internal/v1/staff_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import { newId } from '@silo/tokens/ids.ts';
import { newKey } from '../rules/key-changes.ts';
import { checkKeyCount } from '../rules/key-scope.ts';
import type { Dependencies } from './dependencies.ts';
import { freshKeySecret } from './fresh-secrets.ts';
import { toApiKey } from './messages.ts';

const settings = {
  name: 'Issued by staff',
  scopes: ['*'],
  organizationIds: [],
  projectIds: [],
  expireTime: undefined,
};

/** IssueApiKey: a key with every scope for an account that is locked out. */
export const createIssueApiKey =
  ({ eventLog, keys, peers }: Dependencies): Handler<IssueApiKeyRequest, IssueApiKeyResponse> =>
  async ({ accountId }, call) => {
    // Refuses with ACCOUNT_NOT_FOUND; accounts are never deleted.
    await peers.org.directory.getAccountMemberships({ accountId }, { signal: call.signal });
    const { secret, stored } = freshKeySecret();
    const init = { ...settings, id: newId('key'), accountId, secret: stored };
    const { response } = await eventLog.mutate(
      call,
      IssueApiKeyResponse,
      async ({ session, now, emit }) => {
        await keys.lockAccount(session, accountId);
        const { key, event } = newKey(init, { actor: call.actor, now });
        checkKeyCount(await keys.insert(session, key));
        emit(event);
        return { response: { apiKey: toApiKey(key, now), secret }, sealed: true };
      },
    );
    return response;
  };
