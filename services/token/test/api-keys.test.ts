import { randomUUID } from 'node:crypto';
import { SiloError } from '@silo/errors/silo-error.ts';
import { parseEventType } from '@silo/log/event-types.ts';
import { testEventLog } from '@silo/log/test/support.ts';
import { encodePageToken } from '@silo/mongo/page-token.ts';
import { prepare } from '@silo/mongo/test/support.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import type { Call } from '@silo/rpc/call.ts';
import { bind } from '@silo/rpc/test/bind.ts';
import { testCall } from '@silo/rpc/test/test-call.ts';
import { systemClock } from '@silo/runtime/clock.ts';
import { hashOf, newApiKey } from '@silo/tokens/secrets.ts';
import test, { type ExecutionContext } from 'ava';
import type { Db } from 'mongodb';
import { createApiKey } from '../handlers/create-api-key.ts';
import { deleteApiKey } from '../handlers/delete-api-key.ts';
import type { Dependencies } from '../handlers/dependencies.ts';
import { disableApiKey } from '../handlers/disable-api-key.ts';
import { enableApiKey } from '../handlers/enable-api-key.ts';
import { getApiKey } from '../handlers/get-api-key.ts';
import { storeApiKey } from '../handlers/internal/secrets.ts';
import { listApiKeys } from '../handlers/list-api-keys.ts';
import { rollApiKey } from '../handlers/roll-api-key.ts';
import { updateApiKey } from '../handlers/update-api-key.ts';
import type { KeyDocument } from '../store/documents.ts';
import { createEndedKeyStore } from '../store/ended-keys.ts';
import { createTokenFactReader } from '../store/fact-reader.ts';
import { createKeyStore } from '../store/keys.ts';
import { createProjectTokenStore } from '../store/project-tokens.ts';
import { storeMigrations } from '../store/set-up.ts';
import { apiKey } from './support.ts';

const { signal } = new AbortController();

/** Stands for dependencies that these handlers never use. */
function unasked(): never {
  throw new TypeError('not used in these tests');
}

/** The token service's handlers on a real database, with a first key of an account. */
async function open(t: ExecutionContext) {
  const { connection, eventLog } = await testEventLog(t, 'token');
  const { db } = connection;
  await prepare(db, storeMigrations);
  const endedKeys = createEndedKeyStore(db);
  const factReader = createTokenFactReader(db);
  const dependencies: Dependencies = {
    ...{ eventLog, endedKeys, factReader, clock: systemClock, keys: createKeyStore(db) },
    projectTokens: createProjectTokenStore(db),
    access: {
      ...{ recallToken: unasked, verifyToken: unasked, permitToken: unasked },
      ...{ authorize: unasked, permit: unasked },
    },
    get peers() {
      return unasked();
    },
    get registry() {
      return unasked();
    },
  };
  const callBy = async (secret: string, request: unknown): Promise<Call> => {
    const keyHash = hashOf(secret);
    const key = await factReader.key(keyHash, signal);
    if (key === undefined) throw new TypeError('the calling key is invalid');
    const requestId = (request as { requestId: string }).requestId;
    const options = { ...(requestId && { requestId }), body: JSON.stringify(request) };
    return { ...testCall({ kind: 'key', keyHash, key }, options), actor: key.accountId };
  };
  const by = (secret: string) => {
    const run = async <Request, Answer>(
      handler: (request: Request, call: Call, dependencies: Dependencies) => Promise<Answer>,
      request: Request,
    ) => await bind(handler, dependencies)(request, await callBy(secret, request));
    const requestId = '';
    return {
      create: (over: Parameters<typeof apiKey>[0] = {}) =>
        run(createApiKey, {
          apiKey: apiKey({ name: 'new', scopes: ['*'], ...over }),
          requestId: randomUUID(),
        }),
      roll: (keyId: string, overlapSeconds = 0) =>
        run(rollApiKey, {
          ...{ keyId, etag: '', requestId: randomUUID() },
          overlap: { seconds: overlapSeconds, nanos: 0 },
        }),
      update: (over: Parameters<typeof apiKey>[0], updateMask?: string[], requestId = '') =>
        run(updateApiKey, { apiKey: apiKey(over), updateMask, requestId }),
      get: (keyId: string) => run(getApiKey, { keyId }),
      list: (pageSize: number, pageToken = '') => run(listApiKeys, { pageSize, pageToken }),
      disable: (keyId: string, requestId = '') =>
        run(disableApiKey, { keyId, etag: '', requestId }),
      enable: (keyId: string) => run(enableApiKey, { keyId, etag: '', requestId }),
      remove: (keyId: string, requestId = '') => run(deleteApiKey, { keyId, etag: '', requestId }),
    };
  };
  const store = async (accountId: string, keyId: string, secret = newApiKey()) => {
    const request = {
      ...{ keyId, accountId, name: 'first', keyHash: hashOf(secret), masked: 'phx_...abcd' },
      ...{ scopes: ['*'], correlationId: 'saga' },
    };
    const call = testCall({ kind: 'anyone' });
    await bind(storeApiKey, dependencies)(request, call);
    await bind(storeApiKey, dependencies)(request, call);
    return secret;
  };
  const fact = (secret: string) => factReader.key(hashOf(secret), signal);
  const events = async () => {
    await eventLog.head(signal);
    const { events } = await eventLog.read({ afterSequence: 0, limit: 1_000 });
    return events.map(({ type, subject }) => `${parseEventType(type)?.event} ${subject}`);
  };
  return { by, store, fact, events, db, endedKeys, eventLog, dependencies, callBy };
}

const inAnHour = () => new Date(Date.now() + 3_600_000);

/** Makes the keys expire without waiting, one after another. */
async function expireAll(db: Db, ids: readonly string[]): Promise<void> {
  for (const [nth, _id] of ids.entries()) {
    const expireTime = new Date(Date.now() - 1_000 + nth);
    await db.collection<KeyDocument>('api_keys').updateOne({ _id }, { $set: { expireTime } });
    const filter = { keyId: _id };
    await db.collection('key_secrets').updateMany(filter, { $set: { expireTime } });
  }
}

async function refused(
  t: ExecutionContext,
  act: Promise<unknown>,
  reason: keyof typeof ErrorReason,
): Promise<void> {
  const error = await t.throwsAsync(act, { instanceOf: SiloError });
  t.is(error?.reason, ErrorReason[reason]);
}

test('a stored key works, and storing it again changes nothing', async (t) => {
  const { store, fact, events } = await open(t);
  const secret = await store('acc_1', 'key_first');
  t.like(await fact(secret), { keyId: 'key_first', accountId: 'acc_1', scopes: ['*'] });
  t.deepEqual(await events(), ['key_created key_first']);
});

test('a deleted key stays deleted if the request that stored it is carried out again', async (t) => {
  const { store, by, fact, events } = await open(t);
  const secret = await store('acc_1', 'key_first');
  await by(secret).remove('key_first');
  await store('acc_1', 'key_first', secret);
  t.is(await fact(secret), undefined);
  t.deepEqual(await events(), ['key_created key_first', 'key_revoked key_first']);
});

test('no document or event contains a secret, and a repeat of its request returns it again', async (t) => {
  const { store, dependencies, callBy, eventLog } = await open(t);
  const first = await store('acc_1', 'key_first');
  const request = { apiKey: apiKey({ name: 'new', scopes: ['*'] }), requestId: randomUUID() };
  const call = await callBy(first, request);
  const create = bind(createApiKey, dependencies);
  const { secret, ...rest } = await create(request, call);
  t.deepEqual(await create(request, call), { secret, ...rest });
  await eventLog.head(signal);
  const { events } = await eventLog.read({ afterSequence: 0, limit: 10 });
  t.is(events.length, 2);
  t.false(JSON.stringify(events).includes(secret));
  const record = await eventLog.findRequest(call.request?.key ?? Buffer.alloc(0));
  t.is(record?.response, undefined);
  t.false(Buffer.from(record?.sealed ?? []).includes(secret));
});

test('a key creates no key beyond its own reach, and a restricted key creates none', async (t) => {
  const { store, by } = await open(t);
  const first = await store('acc_1', 'key_first');
  const { secret: small } = await by(first).create({ scopes: ['key:write', 'event:read'] });
  await refused(t, by(small).create(), 'ERROR_REASON_KEY_EXCEEDS_CALLER');
  await t.notThrowsAsync(by(small).create({ scopes: ['event:read'] }));
  const { secret: restricted } = await by(first).create({ projectIds: ['prj_1'] });
  await refused(t, by(restricted).create(), 'ERROR_REASON_KEY_RESTRICTED');
});

test('no method finds the keys of other accounts', async (t) => {
  const { store, by, fact } = await open(t);
  const mine = await store('acc_1', 'key_mine');
  const theirs = await store('acc_2', 'key_theirs');
  const reason = 'ERROR_REASON_KEY_NOT_FOUND';
  await refused(t, by(mine).remove('key_theirs'), reason);
  await refused(t, by(mine).disable('key_theirs'), reason);
  await refused(t, by(mine).enable('key_theirs'), reason);
  await refused(t, by(mine).roll('key_theirs'), reason);
  await refused(t, by(mine).update({ id: 'key_theirs', name: 'taken' }), reason);
  t.like(await fact(theirs), { keyId: 'key_theirs', disabled: false });
});

test('a restricted key can change itself, and finds no other key', async (t) => {
  const { store, by, fact } = await open(t);
  const first = await store('acc_1', 'key_first');
  const made = await by(first).create({ projectIds: ['prj_1', 'prj_2'] });
  const id = made.apiKey?.id ?? '';
  await refused(t, by(made.secret).disable('key_first'), 'ERROR_REASON_KEY_NOT_FOUND');
  await by(made.secret).update({ id, projectIds: ['prj_1'] });
  t.like(await fact(made.secret), { projectIds: ['prj_1'] });
  const widened = by(made.secret).update({ id, projectIds: [] }, ['project_ids']);
  await refused(t, widened, 'ERROR_REASON_KEY_EXCEEDS_CALLER');
});

test('a roll ends the old secret at once, and a caller that rolled its own key can still retry with it', async (t) => {
  const { store, by, fact, endedKeys, events } = await open(t);
  const old = await store('acc_1', 'key_first');
  const { secret: fresh } = await by(old).roll('key_first');
  t.is(await fact(old), undefined);
  t.like(await fact(fresh), { keyId: 'key_first' });
  const owner = { accountId: 'acc_1', keyId: 'key_first' };
  t.like(await endedKeys.find(hashOf(old), new Date(), signal), owner);
  t.deepEqual(await events(), ['key_created key_first', 'key_revoked key_first']);
});

test('during an overlap both secrets work, and the older one expires', async (t) => {
  const { store, by, fact, events } = await open(t);
  const old = await store('acc_1', 'key_first');
  const { secret: fresh, apiKey: shown } = await by(old).roll('key_first', 3_600);
  t.is((await fact(fresh))?.expireTime, undefined);
  const expireTime = (await fact(old))?.expireTime;
  t.truthy(expireTime);
  t.deepEqual(shown?.overlapExpireTime, expireTime);
  t.deepEqual(await events(), ['key_created key_first', 'key_updated key_first']);
  // The old secret will expire, so it creates no key that outlives it.
  await refused(t, by(old).create(), 'ERROR_REASON_KEY_EXCEEDS_CALLER');
  const { secret: third } = await by(fresh).roll('key_first', 3_600);
  t.is(await fact(old), undefined);
  t.truthy(await fact(fresh));
  t.truthy(await fact(third));
});

test('the fact of a disabled key says so until another key enables it', async (t) => {
  const { store, by, fact, endedKeys } = await open(t);
  const first = await store('acc_1', 'key_first');
  const { secret: other } = await by(first).create();
  await by(first).disable('key_first', 'r1');
  t.like(await fact(first), { disabled: true });
  t.truthy(await endedKeys.find(hashOf(first), new Date(), signal));
  await refused(t, by(first).create(), 'ERROR_REASON_TOKEN_INVALID');
  await by(other).disable('key_first');
  await by(other).enable('key_first');
  t.like(await fact(first), { disabled: false });
  t.is(
    await endedKeys.find(hashOf(first), new Date(), signal),
    undefined,
    'it is not an ended key any more',
  );
});

test('a deleted key is unknown, except to a repeat of the request by which it deleted itself', async (t) => {
  const { store, by, fact, endedKeys } = await open(t);
  const first = await store('acc_1', 'key_first');
  const { secret: other, apiKey: shown } = await by(first).create();
  await by(first).remove(shown?.id ?? '');
  t.is(await fact(other), undefined);
  t.is(await endedKeys.find(hashOf(other), new Date(), signal), undefined);
  await by(first).remove('key_first', 'r1');
  t.is(await fact(first), undefined);
  t.truthy(await endedKeys.find(hashOf(first), new Date(), signal));
});

test('a key that gave up key:write may repeat that request until another key ends it', async (t) => {
  const { store, by, endedKeys } = await open(t);
  const first = await store('acc_1', 'key_first');
  const { secret: other } = await by(first).create();
  const found = () => endedKeys.find(hashOf(first), new Date(), signal);
  await by(first).update({ id: 'key_first', scopes: ['key:write', 'project:read'] }, [], 'r1');
  t.is(await found(), undefined);
  await by(first).update({ id: 'key_first', scopes: ['project:read'] }, [], 'r2');
  t.like(await found(), { keyId: 'key_first' });
  await by(other).remove('key_first');
  t.is(await found(), undefined);
});

test('an account has at most 100 keys, even if it requests more concurrently', async (t) => {
  const { store, by } = await open(t);
  const first = await store('acc_1', 'key_first');
  for (let made = 1; made < 98; made++) await by(first).create();
  const last = await Promise.allSettled([1, 2, 3, 4].map(() => by(first).create()));
  t.is(last.filter(({ status }) => status === 'fulfilled').length, 2);
  await refused(t, by(first).create(), 'ERROR_REASON_RESOURCE_LIMIT');
  await by(first).remove('key_first');
});

test('expired keys do not count towards the limit, and the latest 100 of them are kept', async (t) => {
  const { store, by, db, events } = await open(t);
  const first = await store('acc_1', 'key_first');
  const keys = createKeyStore(db);
  const made: string[] = [];
  for (let nth = 0; nth < 102; nth++) {
    if (nth % 90 === 0 && nth > 0) await expireAll(db, made);
    const { apiKey: key } = await by(first).create({ name: `${nth}`, expireTime: inAnHour() });
    made.push(key?.id ?? '');
  }
  await expireAll(db, made);
  const { apiKey: last } = await by(first).create();
  const all = await keys.listOfAccount('acc_1', { size: 1_000 }, signal);
  t.deepEqual(
    all.items.map(({ _id }) => _id).sort(),
    ['key_first', ...made.slice(2), last?.id ?? ''].sort(),
    'the two that expired first are gone',
  );
  const seen = await events();
  for (const id of made.slice(0, 2)) t.true(seen.includes(`key_revoked ${id}`));
});

test('an expired key that gets a later expiry counts again', async (t) => {
  const { store, by, db } = await open(t);
  const first = await store('acc_1', 'key_first');
  const { apiKey: old } = await by(first).create({ expireTime: inAnHour() });
  const id = old?.id ?? '';
  await expireAll(db, [id]);
  for (let made = 1; made < 100; made++) await by(first).create();
  const revive = () => by(first).update({ id, expireTime: inAnHour() });
  await refused(t, revive(), 'ERROR_REASON_RESOURCE_LIMIT');
  const { apiKeys } = await by(first).list(0);
  await by(first).remove(apiKeys.find((key) => key.id !== 'key_first' && key.id !== id)?.id ?? '');
  await t.notThrowsAsync(revive());
});

test('an expiry in the past, and rolling or enabling an expired key, are refused', async (t) => {
  const { store, by, db, events } = await open(t);
  const first = await store('acc_1', 'key_first');
  const past = new Date(Date.now() - 1);
  await refused(t, by(first).create({ expireTime: past }), 'ERROR_REASON_INVALID_FIELD');
  const { apiKey: made } = await by(first).create({ expireTime: inAnHour() });
  const id = made?.id ?? '';
  await refused(t, by(first).update({ id, expireTime: past }), 'ERROR_REASON_INVALID_FIELD');
  await by(first).disable(id);
  await expireAll(db, [id]);
  const before = (await events()).length;
  await refused(t, by(first).roll(id), 'ERROR_REASON_KEY_EXPIRED');
  await refused(t, by(first).enable(id), 'ERROR_REASON_KEY_EXPIRED');
  t.is((await events()).length, before, 'nothing was changed');
  // Its present expiry, sent again with a new name, is not a change.
  const { apiKey: expired } = await by(first).get(id);
  await by(first).update({ ...expired, name: 'renamed' });
  await by(first).update({ id, expireTime: inAnHour() });
  await t.notThrowsAsync(by(first).enable(id));
  await t.notThrowsAsync(by(first).roll(id));
});

test('an account lists its own keys page by page, and a restricted key lists only itself', async (t) => {
  const { store, by } = await open(t);
  const first = await store('acc_1', 'key_0');
  await store('acc_2', 'key_1');
  const made = await by(first).create({ organizationIds: ['org_us_1'] });
  const id = made.apiKey?.id;
  const page = await by(first).list(1);
  t.like(page.apiKeys, [{ id: 'key_0' }]);
  const next = await by(first).list(1, page.nextPageToken);
  t.like(next, { apiKeys: [{ id }], nextPageToken: '' });
  const ownOnly = await by(made.secret).list(0);
  t.is(ownOnly.apiKeys.length, 1);
  t.like(ownOnly, { apiKeys: [{ id }], nextPageToken: '' });
  t.like(await by(made.secret).get(id ?? ''), { apiKey: { name: 'new' } });
  await refused(t, by(made.secret).get('key_0'), 'ERROR_REASON_KEY_NOT_FOUND');
  await refused(t, by(first).get('key_1'), 'ERROR_REASON_KEY_NOT_FOUND');
  await refused(t, by(made.secret).list(1, page.nextPageToken), 'ERROR_REASON_INVALID_FIELD');
  const forged = encodePageToken(['ListApiKeys', 'acc_1', ''], [7]);
  await refused(t, by(first).list(1, forged), 'ERROR_REASON_INVALID_FIELD');
});
