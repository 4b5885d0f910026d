import type { Mutation } from '@silo/mongo/mutation.ts';
import type {
  AdoptProjectTokenRequest,
  AdoptProjectTokenResponse,
  EndProjectTokenAdoptionRequest,
  EndProjectTokenAdoptionResponse,
  MakeProjectTokenRequest,
  MakeProjectTokenResponse,
  PurgeProjectTokenRequest,
  PurgeProjectTokenResponse,
  ReadProjectTokenRequest,
  ReadProjectTokenResponse,
  RetireProjectTokenRequest,
  RetireProjectTokenResponse,
  StoreApiKeyRequest,
  StoreApiKeyResponse,
} from '@silo/protos/gen/silo/token/internal/v1/secret_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import type { Propagate } from '@silo/rpc/propagation.ts';
import { fingerprintOf, hashOf } from '@silo/tokens/secrets.ts';
import { newKey } from '../../rules/key-changes.ts';
import {
  adoptToken,
  endAdoption,
  firstToken,
  presentToken,
  purgeAdopted,
  purgeToken,
  retireToken,
} from '../../rules/project-token.ts';
import type { Dependencies } from '../dependencies.ts';
import { freshToken } from '../shared/fresh-secrets.ts';

/**
 * MakeProjectToken: creates a project's first token, once. Returns the present token; '' after a
 * purge.
 */
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
 * StoreApiKey: stores an account's first key, whose secret the caller generated. Stores nothing if
 * the key is stored or was stored before: the call may be carried out twice, and the owner may have
 * deleted the key in between.
 */
export async function storeApiKey(
  request: StoreApiKeyRequest,
  call: Call,
  { eventLog, keys }: Dependencies,
): Promise<StoreApiKeyResponse> {
  const { keyId: id, accountId, name, masked, scopes } = request;
  const hash = Buffer.from(request.keyHash);
  const secret = { hash, masked, fingerprint: fingerprintOf(hash) };
  // The actor is the account, which is being created with this key.
  const mutation = stepOf(call, { correlationId: request.correlationId, actor: accountId });
  await eventLog.decide(mutation, async (tx) => {
    const { now, emit } = tx;
    await keys.lockAccount(tx, accountId);
    if (!(await keys.noteFirstKey(tx, accountId, id))) return;
    // A previous release may have stored the key without noting it as the first one.
    if ((await keys.findIn(tx, accountId, id)) !== undefined) return;
    const settings = { name, scopes, organizationIds: [], projectIds: [], expireTime: undefined };
    const init = { ...settings, id, accountId, secret };
    const { key, event } = newKey(init, { actor: mutation.actor, now });
    await keys.insert(tx, key);
    emit(event);
  });
  return {};
}

/** ReadProjectToken: returns the token by a linearizable read, because another region adopts it. */
export async function readProjectToken(
  { projectId }: ReadProjectTokenRequest,
  { signal }: Call,
  { projectTokens }: Dependencies,
): Promise<ReadProjectTokenResponse> {
  const { current, revision } = presentToken(await projectTokens.readNow(projectId, signal));
  return { token: current.token, revision };
}

type AdoptDependencies = Pick<Dependencies, 'eventLog' | 'projectTokens'> & {
  propagate: Propagate;
};

/**
 * AdoptProjectToken: adopts the token that the project had in another region. It replaces any token
 * here.
 */
export async function adoptProjectToken(
  request: AdoptProjectTokenRequest,
  call: Call,
  { eventLog, projectTokens, propagate }: AdoptDependencies,
): Promise<AdoptProjectTokenResponse> {
  const { projectId, token, revision, correlationId: migrationId } = request;
  const hash = hashOf(token);
  const brought = {
    ...{ token: { token, hash, fingerprint: fingerprintOf(hash) } },
    ...{ revision, migrationId },
  };
  const mutation = stepOf(call, request);
  await eventLog.decide(mutation, async (tx) => {
    const { now, emit } = tx;
    const present = await projectTokens.findIn(tx, projectId);
    const change = adoptToken(projectId, present, brought, { actor: mutation.actor, now });
    if (change === undefined) return;
    const isSame = present?.current?.hash.equals(hash);
    if (isSame) await projectTokens.note(tx, change.after);
    else await projectTokens.save(tx, change.after, present);
    for (const event of change.events) emit(event);
  });
  // A guard may have cached the token as unknown, or another token as valid, and may not receive
  // the events in time.
  await propagate([], call.signal);
  return {};
}

/**
 * RetireProjectToken: only emits the event. The token stays known, and project refuses or forwards
 * the captures that use it.
 */
export async function retireProjectToken(
  request: RetireProjectTokenRequest,
  call: Call,
  { eventLog, projectTokens }: Dependencies,
): Promise<RetireProjectTokenResponse> {
  const { projectId, organizationId, correlationId: migrationId } = request;
  const mutation = stepOf(call, request);
  await eventLog.decide(mutation, async (tx) => {
    const { now, emit } = tx;
    const present = await projectTokens.findIn(tx, projectId);
    const left = { organizationId, migrationId };
    const change = retireToken(present, left, { actor: mutation.actor, now });
    if (change === undefined) return;
    await projectTokens.note(tx, change.after);
    for (const event of change.events) emit(event);
  });
  return {};
}

/**
 * PurgeProjectToken: deletes the token of a project that was deleted permanently, or that a
 * cancelled migration has not brought here.
 */
export async function purgeProjectToken(
  request: PurgeProjectTokenRequest,
  call: Call,
  { eventLog, projectTokens }: Dependencies,
): Promise<PurgeProjectTokenResponse> {
  const { projectId, adoptedBy } = request;
  const mutation = stepOf(call, request);
  await eventLog.decide(mutation, async (tx) => {
    const { now, emit } = tx;
    const present = await projectTokens.findIn(tx, projectId);
    const occasion = { actor: mutation.actor, now };
    const change =
      adoptedBy === ''
        ? purgeToken(projectId, present, occasion)
        : purgeAdopted(projectId, present, adoptedBy, occasion);
    if (change === undefined) return;
    const isNoted = present !== undefined && change.events.length === 0;
    if (isNoted) await projectTokens.note(tx, change.after);
    else await projectTokens.save(tx, change.after, present);
    for (const event of change.events) emit(event);
  });
  return {};
}

/** EndProjectTokenAdoption: from now on, delayed calls of the migration bring no token. */
export async function endProjectTokenAdoption(
  request: EndProjectTokenAdoptionRequest,
  call: Call,
  { eventLog, projectTokens }: Dependencies,
): Promise<EndProjectTokenAdoptionResponse> {
  const { projectId, correlationId: migrationId } = request;
  const mutation = stepOf(call, request);
  await eventLog.decide(mutation, async (tx) => {
    const { now, emit } = tx;
    const present = await projectTokens.findIn(tx, projectId);
    const change = endAdoption(projectId, present, migrationId, { actor: mutation.actor, now });
    if (change === undefined) return;
    if (present === undefined) await projectTokens.insert(tx, change.after);
    else await projectTokens.note(tx, change.after);
    for (const event of change.events) emit(event);
  });
  return {};
}

/**
 * The mutation of a saga's step. Its events have the id of the saga and the actor that began the
 * saga.
 */
function stepOf(call: Call, saga: { correlationId: string; actor?: string }): Mutation {
  return {
    id: saga.correlationId || call.id,
    actor: saga.actor || call.actor,
    signal: call.signal,
    authorization: undefined,
  };
}
