import { errors } from '@silo/errors/errors.ts';
import type { RequestIdentity } from '@silo/mongo/mutation.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type {
  CreateAccountRequest,
  CreateAccountResponse,
} from '@silo/protos/gen/silo/org/v1/account_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { beginOrJoin, sagaOf } from '@silo/saga/begin-or-join.ts';
import { newId } from '@silo/tokens/ids.ts';
import { openWith, sealWith } from '@silo/tokens/seal.ts';
import { hashOf, maskOf, newApiKey } from '@silo/tokens/secrets.ts';
import { ulid } from 'ulid';
import { accountCreated } from '../events.ts';
import { accountMessage, organizationMessage } from '../messages.ts';
import { newAccount, newOrganization } from '../rules/founding.ts';
import type { AccountFounding } from '../sagas/create-account.ts';
import { foundOrganization } from '../sagas/found-organization.ts';
import type { Dependencies } from './dependencies.ts';

export type AccountCreator = Pick<
  Dependencies,
  'stores' | 'eventLog' | 'sagas' | 'definitions' | 'region' | 'signup'
>;

/** Creates an account for any caller, if the deployment allows sign-up. */
export async function createAccount(
  request: CreateAccountRequest,
  call: Call,
  needed: AccountCreator,
): Promise<CreateAccountResponse> {
  if (needed.signup === 'closed') throw errors.signupClosed();
  return await createAccountOnce(request, call, needed);
}

/** Creates an account, or returns the one that the first call with this request_id created. */
export async function createAccountOnce(
  request: CreateAccountRequest,
  call: Call,
  needed: AccountCreator,
): Promise<CreateAccountResponse> {
  const { sagas, definitions } = needed;
  const identity = call.request;
  if (identity === undefined) throw new TypeError('creating an account requires a request_id');
  const { sagaId, apiKey } = await beginOrJoin(
    call.repeat,
    () => begin(needed, request, { call, identity }),
    (record) => ({ sagaId: sagaOf(record), apiKey: unseal(identity, record.sealed) }),
  );
  const { data } = await sagas.finish(definitions.createAccount, sagaId, call.signal);
  return answer(data, apiKey);
}

/** Commits the new account. All ids and the sealed API key are generated before the first write. */
async function begin(
  { stores, eventLog, sagas, definitions, region }: AccountCreator,
  { email, displayName, organizationName }: CreateAccountRequest,
  { call, identity }: { call: Call; identity: RequestIdentity },
): Promise<{ sagaId: string; apiKey: string }> {
  const apiKey = newApiKey();
  const sagaId = ulid().toLowerCase();
  const made = {
    accountId: newId('acc'),
    organizationId: newId(`org_${region}`),
    projectId: newId('prj'),
    keyId: newId('key'),
    keyHash: hashOf(apiKey),
    keyMasked: maskOf(apiKey),
  };
  const sealed = sealWith(identity.id, apiKey);
  // The actor of a sign-up is the new account. Staff acts under its own name.
  const actor = call.caller.kind === 'certificate' ? call.actor : made.accountId;
  const mutation = { ...call, id: sagaId, actor };
  await eventLog.decide(mutation, async (tx) => {
    const data = { ...made, email, displayName, organizationName, createTime: tx.now };
    const account = newAccount(data);
    await stores.accounts.insert(tx, account);
    tx.emit(accountCreated(account, data.organizationId, { actor, time: tx.now }));
    await foundOrganization(stores, tx, data, actor);
    await sagas.begin(tx, definitions.createAccount, { id: sagaId, data, actor });
    tx.remember({ sagaId, sealed });
  });
  return { sagaId, apiKey };
}

function unseal({ id }: RequestIdentity, sealed: Uint8Array | undefined): string {
  const opened = sealed && openWith(id, sealed);
  if (opened === undefined)
    throw new TypeError('the sealed API key of a request cannot be decrypted');
  return opened.toString('utf8');
}

/**
 * The account as it was when it was created, whatever has changed since: a repeat gets the same
 * response.
 */
function answer(data: AccountFounding, apiKey: string): CreateAccountResponse {
  return {
    account: accountMessage(newAccount(data)),
    organization: organizationMessage(newOrganization(data), Level.LEVEL_OWNER),
    projectId: data.projectId,
    projectToken: data.projectToken ?? '',
    apiKeyId: data.keyId,
    apiKey,
  };
}
