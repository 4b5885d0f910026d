import { randomUUID } from 'node:crypto';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { Account } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import type { ApiKey } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import type { KeySecretDocument } from '@silo/token-service/store/documents.ts';
import { createKey, join, keyMessage } from '../authorization/world.ts';
import type { PublicApi, SignedUp } from '../harness/clients.ts';
import { eventually } from '../harness/eventually.ts';
import { outcomes, refused } from '../harness/refusals.ts';
import type { TestSilo } from '../harness/silo.ts';
import {
  choosePlan,
  createOrganization,
  createProject,
  firstPage,
  isLive,
  present,
  scenarios,
} from './support.ts';

const test = scenarios();
const hourMs = 60 * 60 * 1000;
const scopes = ['*'];

function update(api: PublicApi, fields: Partial<ApiKey>, updateMask?: string[]) {
  return api.apiKeys.updateApiKey({ apiKey: keyMessage(fields), updateMask, requestId: '' });
}

const unconditional = { etag: '', requestId: '' };
const disable = ({ apiKeys }: PublicApi, keyId: string) =>
  apiKeys.disableApiKey({ keyId, ...unconditional });
const enable = ({ apiKeys }: PublicApi, keyId: string) =>
  apiKeys.enableApiKey({ keyId, ...unconditional });
const remove = ({ apiKeys }: PublicApi, keyId: string) =>
  apiKeys.deleteApiKey({ keyId, ...unconditional });
const roll = ({ apiKeys }: PublicApi, keyId: string, overlapMs?: number) =>
  apiKeys.rollApiKey({
    keyId,
    overlap:
      overlapMs === undefined
        ? undefined
        : { seconds: Math.floor(overlapMs / 1_000), nanos: (overlapMs % 1_000) * 1_000_000 },
    etag: '',
    requestId: randomUUID(),
  });

const inAnHour = () => new Date(Date.now() + hourMs);

async function keyAndApi(
  silo: TestSilo,
  person: SignedUp,
  wanted: Parameters<typeof createKey>[1],
) {
  const created = await createKey(person.api, wanted);
  return { ...created, id: created.apiKey.id, api: silo.as(created.secret) };
}

test('a key’s secret is shown once; afterwards only its masked form and its fingerprint are shown', async (t) => {
  const { silo } = t.context;
  const { api, account } = await silo.signUp();
  const { apiKey, secret } = await createKey(api, { scopes });
  t.regex(secret, /^phx_[0-9A-Za-z]{49}$/);
  t.is(apiKey.accountId, account.id);
  t.regex(apiKey.masked, /^phx_/);
  t.not(apiKey.masked, secret);
  const read = await api.apiKeys.getApiKey({ keyId: apiKey.id });
  t.deepEqual(read.apiKey, apiKey);
  t.false(JSON.stringify(read).includes(secret));
  t.is((await silo.as(secret).accounts.getAccount({})).account?.id, account.id);
});

test('a key can do what its scopes allow: writing includes reading, and nothing else', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp();
  const { projectId } = ada;
  const { api } = await keyAndApi(silo, ada, { scopes: ['project:write'] });
  await api.projects.getProject({ projectId });
  const { metadata } = await refused(
    t,
    api.projectTokens.getProjectToken({ projectId }),
    'SCOPE_REQUIRED',
  );
  t.deepEqual(metadata, { scope: 'token:read' });
  const reading = await keyAndApi(silo, ada, { scopes: ['project:read'] });
  await reading.api.projects.getProject({ projectId });
  const deletion = reading.api.projects.deleteProject({ projectId, ...unconditional });
  await refused(t, deletion, 'SCOPE_REQUIRED');
});

test('a key creates only keys within its own scopes and expiry', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp();
  const limited = ['key:write', 'project:read'];
  const { api } = await keyAndApi(silo, ada, { scopes: limited, expireTime: inAnHour() });
  const beyond = async (wanted: Parameters<typeof createKey>[1]) => {
    const { metadata } = await refused(t, createKey(api, wanted), 'KEY_EXCEEDS_CALLER');
    return metadata.exceeds;
  };
  const expireTime = new Date(Date.now() + hourMs / 2);
  t.is(await beyond({ scopes, expireTime }), 'scopes');
  t.is(await beyond({ scopes: ['project:write'], expireTime }), 'scopes');
  t.is(await beyond({ scopes: ['project:read'] }), 'expire_time');
  const later = new Date(Date.now() + 2 * hourMs);
  t.is(await beyond({ scopes: ['project:read'], expireTime: later }), 'expire_time');
  await createKey(api, { scopes: ['project:read', 'key:read'], expireTime });
});

test('a key extends, enables and rolls only keys within its own access', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp();
  const wide = await keyAndApi(silo, ada, { scopes });
  const narrow = await keyAndApi(silo, ada, { scopes: ['key:write', 'project:read'] });
  await refused(t, update(narrow.api, { id: narrow.id, scopes }, ['scopes']), 'KEY_EXCEEDS_CALLER');
  await refused(t, roll(narrow.api, wide.id), 'KEY_EXCEEDS_CALLER');
  await disable(narrow.api, wide.id);
  t.false(await isLive(silo, wide.secret), 'removing access is always allowed');
  await refused(t, enable(narrow.api, wide.id), 'KEY_EXCEEDS_CALLER');
  await update(narrow.api, { id: wide.id, scopes: ['project:read'] }, ['scopes']);
  await enable(narrow.api, wide.id);
  t.true(await isLive(silo, wide.secret));
});

test('a narrowed key may do less as soon as the call returns', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp();
  const { api, id } = await keyAndApi(silo, ada, { scopes });
  const { projectId } = ada;
  await api.projects.getProject({ projectId });
  const { apiKey } = await update(ada.api, { id, scopes: ['account:read'] }, ['scopes']);
  t.deepEqual(apiKey?.scopes, ['account:read']);
  await refused(t, api.projects.getProject({ projectId }), 'SCOPE_REQUIRED');
});

test('an update of a key changes the fields of its mask; without one, the fields that are not empty', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp();
  const { id } = await keyAndApi(silo, ada, { scopes, expireTime: inAnHour() });
  const named = present((await update(ada.api, { id, name: 'Named' })).apiKey);
  t.like(named, { name: 'Named', scopes });
  t.truthy(named.expireTime);
  const endless = await update(ada.api, { id, name: 'Not this' }, ['expire_time']);
  t.is(endless.apiKey?.expireTime, undefined);
  t.is(endless.apiKey?.name, 'Named');
  const scopeless = update(ada.api, { id }, ['scopes']);
  await refused(t, scopeless, 'INVALID_FIELD');
});

test('a restricted key reaches only what it names', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp();
  const further = await createOrganization(ada.api);
  const { api } = await keyAndApi(silo, ada, { scopes, organizationIds: [further.organizationId] });
  await api.projects.getProject({ projectId: further.projectId });
  const { projectId } = ada;
  const organizationId = ada.organization.id;
  await refused(t, api.projects.getProject({ projectId }), 'PROJECT_NOT_FOUND');
  const read = api.organizations.getOrganization({ organizationId });
  await refused(t, read, 'ORGANIZATION_NOT_FOUND');
  const { organizations } = await api.organizations.listOrganizations(firstPage);
  t.deepEqual(
    organizations.map(({ id }) => id),
    [further.organizationId],
  );
});

test('a key restricted to a project reaches that project, and not its organization', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp();
  const organizationId = ada.organization.id;
  await choosePlan(ada.api, organizationId);
  const second = await createProject(ada.api, organizationId);
  const { api } = await keyAndApi(silo, ada, { scopes, projectIds: [second.id] });
  await api.projects.getProject({ projectId: second.id });
  const { projectId } = ada;
  await refused(t, api.projects.getProject({ projectId }), 'PROJECT_NOT_FOUND');
  const read = api.organizations.getOrganization({ organizationId });
  await refused(t, read, 'ORGANIZATION_NOT_FOUND');
});

test('a restricted key changes nothing of the account except itself', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp();
  const restricted = await keyAndApi(silo, ada, { scopes, projectIds: [ada.projectId] });
  const { api } = restricted;
  const account = Account.fromPartial({ displayName: 'Other' });
  const { accounts, organizations, apiKeys } = api;
  const renaming = accounts.updateAccount({ account, updateMask: undefined, requestId: '' });
  await refused(t, renaming, 'KEY_RESTRICTED');
  const founding = organizations.createOrganization({ name: 'x', requestId: '' });
  await refused(t, founding, 'KEY_RESTRICTED');
  await refused(t, createKey(api, { scopes, projectIds: [ada.projectId] }), 'KEY_RESTRICTED');
  await refused(t, apiKeys.getApiKey({ keyId: ada.apiKeyId }), 'KEY_NOT_FOUND');
  await refused(t, disable(api, ada.apiKeyId), 'KEY_NOT_FOUND');
  await refused(t, remove(api, ada.apiKeyId), 'KEY_NOT_FOUND');
  const { apiKeys: listed } = await apiKeys.listApiKeys(firstPage);
  t.deepEqual(
    listed.map(({ id }) => id),
    [restricted.id],
  );
  const widened = update(api, { id: restricted.id }, ['project_ids']);
  const { metadata } = await refused(t, widened, 'KEY_EXCEEDS_CALLER');
  t.is(metadata.exceeds, 'restrictions');
  await update(api, { id: restricted.id, name: 'Renamed' });
  await remove(api, restricted.id);
  t.false(await isLive(silo, restricted.secret));
});

test('a restriction to something without access is dormant, and takes effect with access', async (t) => {
  const { silo } = t.context;
  const [ada, bob] = [await silo.signUp('Ada'), await silo.signUp('Bob')];
  const organizationId = ada.organization.id;
  const { projectId } = ada;
  const { api } = await keyAndApi(silo, bob, { scopes, organizationIds: [organizationId] });
  await refused(t, api.projects.getProject({ projectId }), 'PROJECT_NOT_FOUND');
  await join(ada, bob, Level.LEVEL_MEMBER);
  t.is((await api.projects.getProject({ projectId })).project?.id, projectId);
  const accountId = bob.account.id;
  const removal = { organizationId, accountId, ...unconditional };
  await ada.api.organizations.removeMember(removal);
  await refused(t, api.projects.getProject({ projectId }), 'PROJECT_NOT_FOUND');
});

test('a key ends at its expiry', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp();
  // On a busy machine the time may be over before the key is created, which is then refused.
  const { secret } = await eventually(() =>
    keyAndApi(silo, ada, { scopes, expireTime: new Date(Date.now() + 4_000) }),
  );
  await eventually(async () => {
    if (await isLive(silo, secret)) throw new Error('the key is still live');
  });
  t.true(await isLive(silo, ada.apiKey));
});

test('a disabled key is useless until it is enabled', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp();
  const { id, secret } = await keyAndApi(silo, ada, { scopes });
  t.true((await disable(ada.api, id)).apiKey?.disabled);
  t.false(await isLive(silo, secret));
  t.true((await disable(ada.api, id)).apiKey?.disabled, 'disabling twice has the effect of once');
  t.false((await enable(ada.api, id)).apiKey?.disabled);
  t.true(await isLive(silo, secret));
});

test('a roll gives a new secret under the same id, and the old one ends when it returns', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp();
  const { id, secret: old, apiKey } = await keyAndApi(silo, ada, { scopes });
  const rolled = await roll(ada.api, id);
  t.is(rolled.apiKey?.id, id);
  t.not(rolled.apiKey?.fingerprint, apiKey.fingerprint);
  t.is(rolled.apiKey?.overlapExpireTime, undefined);
  t.false(await isLive(silo, old));
  t.true(await isLive(silo, rolled.secret));
});

test('with an overlap the old secret works until the end of the overlap', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp();
  const rollWithin = async (overlapMs: number) => {
    const { id, secret } = await keyAndApi(silo, ada, { scopes });
    const rolled = await roll(ada.api, id, overlapMs);
    const wasLive = await isLive(silo, secret);
    // On a busy machine the overlap may end before the old secret is tried.
    if (Date.now() >= present(rolled.apiKey?.overlapExpireTime).getTime()) return undefined;
    return { old: secret, rolled, wasLive };
  };
  let overlapMs = 6_000;
  let within = await rollWithin(overlapMs);
  for (; within === undefined; within = await rollWithin(overlapMs)) overlapMs *= 2;
  const { old, rolled, wasLive } = within;
  t.true(wasLive);
  t.true(await isLive(silo, rolled.secret));
  await eventually(async () => {
    if (await isLive(silo, old)) throw new Error('the old secret is still live');
  });
  t.true(await isLive(silo, rolled.secret));
});

test('disabling, narrowing and rolling again also affect the old secret of an overlap', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp();
  const { id, secret: first } = await keyAndApi(silo, ada, { scopes });
  const { secret: second } = await roll(ada.api, id, hourMs);
  await disable(ada.api, id);
  t.deepEqual([await isLive(silo, first), await isLive(silo, second)], [false, false]);
  await enable(ada.api, id);
  t.deepEqual([await isLive(silo, first), await isLive(silo, second)], [true, true]);
  await update(ada.api, { id, scopes: ['account:read'] }, ['scopes']);
  const reading = silo.as(first).projects.getProject({ projectId: ada.projectId });
  await refused(t, reading, 'SCOPE_REQUIRED');
  const { secret: third } = await roll(ada.api, id);
  const alive = await Promise.all([first, second, third].map((each) => isLive(silo, each)));
  t.deepEqual(alive, [false, false, true]);
});

test('a deleted key is gone for ever, with the old secret of its overlap', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp();
  const { id, secret: first } = await keyAndApi(silo, ada, { scopes });
  const { secret: second } = await roll(ada.api, id, hourMs);
  await remove(ada.api, id);
  t.deepEqual([await isLive(silo, first), await isLive(silo, second)], [false, false]);
  await refused(t, ada.api.apiKeys.getApiKey({ keyId: id }), 'KEY_NOT_FOUND');
  await refused(t, enable(ada.api, id), 'KEY_NOT_FOUND');
});

test('a key is not changed if its etag is out of date', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp();
  const { id: keyId, apiKey } = await keyAndApi(silo, ada, { scopes });
  await update(ada.api, { id: keyId, name: 'First' });
  const old = { keyId, etag: apiKey.etag, requestId: '' };
  const { apiKeys } = ada.api;
  await refused(t, apiKeys.disableApiKey(old), 'ETAG_MISMATCH');
  await refused(t, apiKeys.enableApiKey(old), 'ETAG_MISMATCH');
  await refused(t, apiKeys.deleteApiKey(old), 'ETAG_MISMATCH');
  const rolling = { ...old, overlap: undefined, requestId: randomUUID() };
  await refused(t, apiKeys.rollApiKey(rolling), 'ETAG_MISMATCH');
  const second = update(ada.api, { id: keyId, name: 'Second', etag: apiKey.etag });
  await refused(t, second, 'ETAG_MISMATCH');
});

test('an account can neither see nor change another account’s keys', async (t) => {
  const { silo } = t.context;
  const [ada, bob] = [await silo.signUp('Ada'), await silo.signUp('Bob')];
  await refused(t, bob.api.apiKeys.getApiKey({ keyId: ada.apiKeyId }), 'KEY_NOT_FOUND');
  await refused(t, roll(bob.api, ada.apiKeyId), 'KEY_NOT_FOUND');
  await refused(t, remove(bob.api, ada.apiKeyId), 'KEY_NOT_FOUND');
  const { apiKeys } = await bob.api.apiKeys.listApiKeys(firstPage);
  t.deepEqual(
    apiKeys.map(({ id }) => id),
    [bob.apiKeyId],
  );
});

test('a key records its last use, which does not count as a change', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp();
  const { id: keyId, api, apiKey } = await keyAndApi(silo, ada, { scopes });
  t.is(apiKey.lastUseTime, undefined);
  const before = Date.now();
  await api.accounts.getAccount({});
  const used = await eventually(async () => {
    const read = await ada.api.apiKeys.getApiKey({ keyId });
    return { ...read.apiKey, lastUseTime: present(read.apiKey?.lastUseTime) };
  });
  const usedMs = used.lastUseTime.getTime();
  t.true(usedMs >= before && usedMs <= Date.now());
  t.is(used.etag, apiKey.etag);
  await api.accounts.getAccount({});
  await ada.api.apiKeys.listApiKeys(firstPage);
  const again = await ada.api.apiKeys.getApiKey({ keyId });
  const laterMs = present(again.apiKey?.lastUseTime).getTime() - usedMs;
  t.true(laterMs === 0 || laterMs >= 60_000, 'at most once a minute');
});

test('an account has at most 100 keys, however many it makes at once: RESOURCE_LIMIT', async (t) => {
  const { silo } = t.context;
  const { api } = await silo.signUp();
  for (let made = 1; made < 96; made += 19) {
    await Promise.all(Array.from({ length: 19 }, () => createKey(api, { scopes })));
  }
  const all = await outcomes(Array.from({ length: 6 }, () => createKey(api, { scopes })));
  t.is(all.filter((each) => each === 'OK').length, 4, all.join());
  const refusal = await refused(t, createKey(api, { scopes }), 'RESOURCE_LIMIT');
  t.deepEqual(refusal.metadata, { resource: 'api_keys', limit: '100' });
  t.is(refusal.details.quotaFailure?.length, 1);
  const names: string[] = [];
  let pageToken = '';
  do {
    const page = await api.apiKeys.listApiKeys({ pageSize: 40, pageToken });
    names.push(...page.apiKeys.map(({ id }) => id));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  t.is(new Set(names).size, 100);
  t.is(names.length, 100);
});

test('only the hash and the masked form of a key are stored', async (t) => {
  const { silo } = t.context;
  const { api } = await silo.signUp();
  const { apiKey, secret } = await createKey(api, { scopes });
  const database = silo.mongo.db(`${silo.databasePrefix}_token`);
  const facts = database.collection<KeySecretDocument>('key_secrets');
  t.is(await facts.countDocuments({ keyId: apiKey.id }), 1);
  for (const collection of await database.collections()) {
    const all = await collection.find().toArray();
    t.false(JSON.stringify(all).includes(secret), collection.collectionName);
  }
});
