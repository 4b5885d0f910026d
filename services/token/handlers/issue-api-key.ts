import {
  type IssueApiKeyRequest,
  IssueApiKeyResponse,
} from '@silo/protos/gen/silo/token/internal/v1/staff_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import { newId } from '@silo/tokens/ids.ts';
import { toApiKey } from '../messages.ts';
import { addKey } from './add-key.ts';
import type { Dependencies } from './dependencies.ts';
import { freshKeySecret } from './fresh-secrets.ts';

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
    await peers.org.directory.getAccountMemberships(
      { accountId, pageToken: '' },
      { signal: call.signal },
    );
    const { secret, stored } = freshKeySecret();
    const init = { ...settings, id: newId('key'), accountId, secret: stored };
    const { response } = await eventLog.mutate(call, IssueApiKeyResponse, async (tx) => {
      await keys.lockAccount(tx.session, accountId);
      const key = await addKey(keys, tx, init, call.actor);
      return { response: { apiKey: toApiKey(key, tx.now), secret }, sealed: true };
    });
    return response;
  };
