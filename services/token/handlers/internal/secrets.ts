import type { Mutation } from '@silo/mongo/mutation.ts';
import type {
  MakeProjectTokenRequest,
  MakeProjectTokenResponse,
  PurgeProjectTokenRequest,
  PurgeProjectTokenResponse,
  StoreApiKeyRequest,
  StoreApiKeyResponse,
} from '@silo/protos/gen/silo/token/internal/v1/secret_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { fingerprintOf } from '@silo/tokens/secrets.ts';
import { newKey } from '../../rules/key-changes.ts';
import { firstToken, purgeToken } from '../../rules/project-token.ts';
import type { Dependencies } from '../dependencies.ts';
import { freshToken } from '../shared/fresh-secrets.ts';

/** MakeProjectToken: once for each project. Answers the token that there is; '' after a purge. */
export async function makeProjectToken(
  request: MakeProjectTokenRequest,
  call: Call,
  { eventLog, projectTokens }: Dependencies,
): Promise<MakeProjectTokenResponse> {
  const { projectId } = request;
  const fresh = freshToken();
  const mutation = stepOf(call, request);
  const { value } = await eventLog.decide(mutation, async (tx) => {
    const { now, emit } = tx;
    const { after, events } = firstToken(projectId, fresh, { actor: mutation.actor, now });
    const present = await projectTokens.insert(tx, after);
    if (present !== undefined) return present.current?.token ?? '';
    for (const event of events) emit(event);
    return fresh.token;
  });
  return { token: value };
}

/**
 * StoreApiKey: a key whose secret the caller made; nothing where it is, or was, stored already: the
 * call may be carried out twice, and its owner may have deleted the key between.
 */
export async function storeApiKey(
  request: StoreApiKeyRequest,
  call: Call,
  { eventLog, keys }: Dependencies,
): Promise<StoreApiKeyResponse> {
  const { keyId: id, accountId, name, masked, scopes } = request;
  const hash = Buffer.from(request.keyHash);
  const secret = { hash, masked, fingerprint: fingerprintOf(hash) };
  // The account acts: it is being created with this key.
  const mutation = stepOf(call, { correlationId: request.correlationId, actor: accountId });
  await eventLog.decide(mutation, async (tx) => {
    const { now, emit } = tx;
    await keys.lockAccount(tx, accountId);
    if (!(await keys.noteFirstKey(tx, accountId, id))) return;
    // Stored by a release that did not note it.
    if ((await keys.findIn(tx, accountId, id)) !== undefined) return;
    const settings = { name, scopes, organizationIds: [], projectIds: [], expireTime: undefined };
    const init = { ...settings, id, accountId, secret };
    const { key, event } = newKey(init, { actor: mutation.actor, now });
    await keys.insert(tx, key);
    emit(event);
  });
  return {};
}

/** PurgeProjectToken: forgets the token of a project that is gone. */
export async function purgeProjectToken(
  request: PurgeProjectTokenRequest,
  call: Call,
  { eventLog, projectTokens }: Dependencies,
): Promise<PurgeProjectTokenResponse> {
  const { projectId } = request;
  const mutation = stepOf(call, request);
  await eventLog.decide(mutation, async (tx) => {
    const { now, emit } = tx;
    const present = await projectTokens.findIn(tx, projectId);
    const change = purgeToken(projectId, present, { actor: mutation.actor, now });
    if (change === undefined) return;
    await projectTokens.save(tx, change.after, present);
    for (const event of change.events) emit(event);
  });
  return {};
}

/** The mutation of a saga's step: its events have the id of the saga and the actor that began it. */
function stepOf(call: Call, saga: { correlationId: string; actor?: string }): Mutation {
  return {
    id: saga.correlationId || call.id,
    actor: saga.actor || call.actor,
    signal: call.signal,
    authorization: undefined,
  };
}
