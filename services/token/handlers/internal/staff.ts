import type { Outcome } from '@silo/mongo/mutation.ts';
import {
  type IssueApiKeyRequest,
  IssueApiKeyResponse,
} from '@silo/protos/gen/silo/token/internal/v1/staff_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { newId } from '@silo/tokens/ids.ts';
import { toApiKey } from '../../messages.ts';
import type { Dependencies } from '../dependencies.ts';
import { addKey } from '../shared/add-key.ts';
import { freshKeySecret } from '../shared/fresh-secrets.ts';

const settings = {
  name: 'Issued by staff',
  scopes: ['*'],
  organizationIds: [],
  projectIds: [],
  expireTime: undefined,
};

/** IssueApiKey: issues a key with every scope for an account that is locked out. */
export async function issueApiKey(
  { accountId }: IssueApiKeyRequest,
  call: Call,
  { eventLog, keys, peers }: Dependencies,
): Promise<Outcome<IssueApiKeyResponse>> {
  // Refuses with ACCOUNT_NOT_FOUND; accounts are never deleted.
  await peers.org.directory.getAccountMemberships(
    { accountId, pageToken: '' },
    { signal: call.signal },
  );
  const { secret, stored } = freshKeySecret();
  const init = { ...settings, id: newId('key'), accountId, secret: stored };
  return await eventLog.mutate(call, IssueApiKeyResponse, async (tx) => {
    await keys.lockAccount(tx, accountId);
    const key = await addKey(keys, tx, init, call.actor);
    return { response: { apiKey: toApiKey(key, tx.now), secret }, sealed: true };
  });
}
