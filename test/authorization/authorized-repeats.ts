/** Checks that a repeat of a request is authorized like the call, with every kind of weaker key. */
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { Member } from '@silo/protos/gen/silo/org/v1/organization.ts';
import type { ApiKey } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import { hashOf } from '@silo/tokens/secrets.ts';
import type { ExecutionContext } from 'ava';
import { type PublicApi, withoutPropagation } from '../harness/clients.ts';
import { outcomes } from '../harness/refusals.ts';
import type { TestSilo } from '../harness/silo.ts';
import type { Prepared } from '../scenarios/mutation-support.ts';
import { createOrganization, present } from '../scenarios/support.ts';
import { type Expected, expected } from './expected.ts';
import { createKey, join } from './world.ts';

const { LEVEL_MEMBER, LEVEL_OWNER } = Level;

/** Keys of the caller's account that may not make the request, and the reason of the refusal. */
export type WeakKeys = Record<string, { secret: string; reason: string }>;

const unconditional = { etag: '', requestId: '' };

/** The refusal of a request outside of a restricted key's access. */
function unreached(path: string, rule: Expected): string {
  if ('unrestricted' in rule) return 'KEY_RESTRICTED';
  if (path.includes('ApiKeyService')) return 'KEY_NOT_FOUND';
  if (/(Undo|Finalize)Move$/.test(path)) return 'MOVE_NOT_FOUND';
  if (path.endsWith('UndeleteProject')) return 'PROJECT_NOT_FOUND';
  return 'of' in rule && rule.of === 'project' ? 'PROJECT_NOT_FOUND' : 'ORGANIZATION_NOT_FOUND';
}

async function createWeakKeys(silo: TestSilo, api: PublicApi, path: string): Promise<WeakKeys> {
  const rule = expected[path];
  const scope = rule !== undefined && 'scope' in rule ? rule.scope : '';
  const [area] = scope.split(':');
  const otherWrite = area === 'event' ? 'billing:write' : 'event:write';
  const elsewhere = await createOrganization(api);
  const make = async (wanted: Partial<ApiKey>) =>
    await createKey(api, { scopes: ['*'], ...wanted });
  const isKeys = path.includes('ApiKeyService');
  const restricted = rule === undefined ? '' : unreached(path, rule);
  const disabled = await make({});
  await api.apiKeys.disableApiKey({ keyId: disabled.apiKey.id, ...unconditional });
  const deleted = await make({});
  const ending = { keyId: deleted.apiKey.id, etag: '', requestId: randomUUID() };
  await silo.as(deleted.secret).apiKeys.deleteApiKey(ending);
  const keys: WeakKeys = {
    'that may only read': {
      secret: (await make({ scopes: [`${area}:read`, otherWrite] })).secret,
      reason: 'SCOPE_REQUIRED',
    },
    'restricted to another project': {
      secret: (await make({ projectIds: [elsewhere.projectId] })).secret,
      reason: restricted,
    },
    'restricted to another organization': {
      secret: (await make({ organizationIds: [elsewhere.organizationId] })).secret,
      reason: restricted,
    },
    'that has expired': { secret: await expiredKey(silo, api), reason: 'TOKEN_INVALID' },
    'that is disabled': { secret: disabled.secret, reason: 'TOKEN_INVALID' },
    'that has deleted itself': { secret: deleted.secret, reason: 'TOKEN_INVALID' },
  };
  if (isKeys && /(Create|Roll|Enable)ApiKey$/.test(path)) {
    const secret = (await make({ scopes: ['key:write', 'project:read'] })).secret;
    keys['with fewer scopes than the key that is created'] = {
      secret,
      reason: 'KEY_EXCEEDS_CALLER',
    };
  }
  return keys;
}

/** An expired key that was never checked before, so that no guard remembers it. */
async function expiredKey({ mongo, databasePrefix }: TestSilo, api: PublicApi): Promise<string> {
  const expireTime = new Date(Date.now() + 3_600_000);
  const { secret } = await createKey(api, { scopes: ['*'], expireTime });
  const secrets = mongo.db(`${databasePrefix}_token`).collection('key_secrets');
  const hash = hashOf(secret);
  await secrets.updateOne(
    { _id: hash as never },
    { $set: { expireTime: new Date(Date.now() - 1_000) } },
  );
  return secret;
}

/** The saga that a request has begun; undefined if it begins none. */
async function sagaOf(silo: TestSilo, path: string, isNew: (id: string) => boolean) {
  const [, service] = path.split('.');
  const sagas = silo.mongo.db(`${silo.databasePrefix}_${service}`).collection('sagas');
  const [saga] = (await sagas.find().toArray()).filter(({ _id }) => isNew(String(_id)));
  if (saga === undefined) return undefined;
  const { _id } = saga;
  return {
    /** Reopens the saga as if its owner were still running it. */
    reopen: async () => {
      const ownerUntil = new Date(Date.now() + 3_600_000);
      await sagas.updateOne({ _id }, { $set: { open: true, owner: 'another', ownerUntil } });
    },
    restore: async () => {
      await sagas.replaceOne({ _id }, saga);
    },
  };
}

async function sagaIds(silo: TestSilo, path: string): Promise<Set<string>> {
  const [, service] = path.split('.');
  const sagas = silo.mongo.db(`${silo.databasePrefix}_${service}`).collection('sagas');
  return new Set((await sagas.find().toArray()).map(({ _id }) => String(_id)));
}

async function outcomeOf(call: Promise<unknown>): Promise<string> {
  return (await outcomes([call]))[0] ?? '';
}

async function setLevel(owner: PublicApi, organizationId: string, accountId: string, level: Level) {
  const member = Member.fromPartial({ organizationId, accountId, level });
  await owner.organizations.updateMember({ member, updateMask: undefined, requestId: '' });
}

/** The outcome of the caller's own repeat after it became a MEMBER. */
function asMember(path: string, rule: Expected | undefined): string {
  if (rule?.caller === 'admin' || rule?.caller === 'owner') {
    // This request itself lowered the caller to MEMBER.
    return path.endsWith('UpdateMember') ? 'OK' : 'ADMIN_REQUIRED';
  }
  return /(Undo|Finalize)Move$|UndeleteProject$/.test(path) ? 'ADMIN_REQUIRED' : 'OK';
}

/** The outcome after the caller has left the organization. */
function asStranger(path: string, rule: Expected | undefined): string {
  if (path.endsWith('AcceptInvite')) return 'ORGANIZATION_NOT_FOUND';
  return rule === undefined ? '' : unreached(path, rule);
}

/** Asserts that a repeat of the request is authorized like the call, by the facts at that time. */
export async function demandAuthorizedRepeats(
  t: ExecutionContext<unknown>,
  silo: TestSilo,
  path: string,
  prepared: Prepared & { weakKeys?: WeakKeys },
): Promise<void> {
  const rule = expected[path];
  const { by, call, organizationId, owner } = prepared;
  const { account, api } = present(by);
  const boss = await silo.signUp('Boss');
  if (organizationId !== undefined) {
    await join({ ...boss, ...(owner ?? present(by)) }, boss, LEVEL_OWNER, organizationId);
  }
  const keys = { ...(await createWeakKeys(silo, api, path)), ...prepared.weakKeys };
  const earlier = await sagaIds(silo, path);
  const requestId = randomUUID();
  const answer = withoutPropagation(await call(requestId));
  const saga = await sagaOf(silo, path, (id) => !earlier.has(id));
  const isSaga =
    /Create(Organization|Project|RecommendedProjects)$|ChangePlan$|Delete(Organization)$/;
  t.is(saga !== undefined, isSaga.test(path));
  const repeat = () => outcomeOf(call(requestId));
  /** Also checked while the request's saga is running. */
  const inEachState = async (check: (state: string) => Promise<void>) => {
    await check('finished');
    if (saga === undefined) return;
    await saga.reopen();
    await check('running');
    await saga.restore();
  };

  await inEachState((state) => refusesWeakKeys(t, silo, { call, requestId, keys, state }));
  t.deepEqual(
    withoutPropagation(await call(requestId)),
    answer,
    'a caller that may make the request may repeat it',
  );
  const stranger = (await silo.signUp('Stranger')).api;
  const foreign = await call(requestId, stranger).then(withoutPropagation, () => undefined);
  t.false(isDeepStrictEqual(foreign, answer) && hasContent(answer), 'another account');
  await joinsRunning(t, { saga, repeat });

  if (organizationId === undefined) return;
  await setLevel(boss.api, organizationId, account.id, LEVEL_MEMBER);
  const lowered = asMember(path, rule);
  await inEachState(async (state) => {
    if (state === 'finished' || lowered !== 'OK') t.is(await repeat(), lowered, state);
  });
  const removal = { organizationId, accountId: account.id, ...unconditional };
  await boss.api.organizations.removeMember(removal);
  await inEachState(async (state) => {
    t.is(await repeat(), asStranger(path, rule), `removed, ${state}`);
  });
}

async function refusesWeakKeys(
  t: ExecutionContext<unknown>,
  silo: TestSilo,
  {
    call,
    requestId,
    keys,
    state,
  }: {
    call: (requestId: string, api: PublicApi) => Promise<unknown>;
    requestId: string;
    keys: WeakKeys;
    state: string;
  },
): Promise<void> {
  for (const [kind, { secret, reason }] of Object.entries(keys)) {
    const outcome = await outcomeOf(call(requestId, silo.as(secret)));
    t.is(outcome, reason, `a key ${kind}, ${state}`);
  }
}

/** An authorized retry joins the saga, and gets the response when there is one. */
async function joinsRunning(
  t: ExecutionContext<unknown>,
  { saga, repeat }: { saga: Awaited<ReturnType<typeof sagaOf>>; repeat: () => Promise<string> },
): Promise<void> {
  if (saga === undefined) return;
  await saga.reopen();
  const joined = repeat();
  await saga.restore();
  t.is(await joined, 'OK');
}

/** Whether a response has any content. */
function hasContent(answer: object): boolean {
  return Object.values(answer).some((value) => value !== undefined);
}
