import { SiloError } from '@silo/errors/silo-error.ts';
import type { KeyFact } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import type { ApiKey } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import test from 'ava';
import {
  deleteKey,
  endsCaller,
  type KeyEvent,
  keepsAccess,
  rollKey,
  setDisabled,
  updateKey,
} from '../rules/key-changes.ts';
import { secretExpiry } from '../rules/key-secrets.ts';
import { applyUpdate, namedFields } from '../rules/key-settings.ts';
import { apiKey, keyDocument, now, secretNamed } from './support.ts';

const occasion = { actor: 'acc_1', now };
const hourMs = 60 * 60 * 1000;
const inAnHour = new Date(now.getTime() + hourMs);

function bodies(events: readonly KeyEvent[]): unknown[] {
  return events.map(({ event, body }) => [event, body]);
}

const old = secretNamed('old');
const fresh = secretNamed('fresh');

test('a roll without overlap revokes the old secret at once', (t) => {
  const key = keyDocument({ secrets: [old] });
  const { after, events } = rollKey(key, fresh, 0, occasion);
  t.deepEqual(after?.secrets, [fresh]);
  t.is(after?.revision, 2);
  const common = { keyId: key._id, accountId: 'acc_1', actor: 'acc_1', time: now.toISOString() };
  t.deepEqual(bodies(events), [
    [
      'key_revoked',
      {
        ...common,
        ...{ fingerprint: old.fingerprint, newFingerprint: fresh.fingerprint, revision: 2 },
      },
    ],
  ]);
});

test('a roll with overlap keeps the old secret until the overlap ends, and revokes nothing', (t) => {
  const { after, events } = rollKey(keyDocument({ secrets: [old] }), fresh, hourMs, occasion);
  t.deepEqual(after?.secrets, [fresh, { ...old, expireTime: inAnHour }]);
  t.deepEqual(
    events.map(({ event }) => event),
    ['key_updated'],
  );
});

test('a second roll during the overlap revokes the oldest secret', (t) => {
  const oldest = { ...secretNamed('oldest'), expireTime: inAnHour };
  const key = keyDocument({ secrets: [old, oldest], revision: 5 });
  const { after, events } = rollKey(key, fresh, hourMs, occasion);
  t.deepEqual(after?.secrets, [fresh, { ...old, expireTime: inAnHour }]);
  t.is(after?.revision, 7);
  t.like(events, [
    {
      event: 'key_revoked',
      body: {
        fingerprint: oldest.fingerprint,
        newFingerprint: fresh.fingerprint,
        revision: 6,
      },
    },
    { event: 'key_updated', body: { revision: 7 } },
  ]);
});

test('a secret whose overlap is over is not revoked again', (t) => {
  const expired = { ...secretNamed('expired'), expireTime: now };
  const { events } = rollKey(keyDocument({ secrets: [old, expired] }), fresh, 0, occasion);
  t.like(events, [{ event: 'key_revoked', body: { fingerprint: old.fingerprint } }]);
  t.is(events.length, 1);
});

test('a deletion revokes every secret of the key', (t) => {
  const overlapped = { ...old, expireTime: inAnHour };
  const { after, events } = deleteKey(keyDocument({ secrets: [fresh, overlapped] }), occasion);
  t.is(after, undefined);
  t.like(events, [
    { event: 'key_revoked', body: { fingerprint: fresh.fingerprint, revision: 2 } },
    { event: 'key_revoked', body: { fingerprint: old.fingerprint, revision: 3 } },
  ]);
});

test('disabling a disabled key, or enabling an enabled one, changes nothing', (t) => {
  t.is(setDisabled(keyDocument({ disabled: true }), true, occasion), undefined);
  t.is(setDisabled(keyDocument(), false, occasion), undefined);
  const change = setDisabled(keyDocument(), true, occasion);
  t.like(change?.after, { disabled: true, revision: 2 });
  t.like(change?.events, [
    {
      event: 'key_updated',
      body: { disabled: true, changes: [{ field: 'disabled', from: 'false', to: 'true' }] },
    },
  ]);
});

test('an update has an event with the changed fields, and none if nothing changed', (t) => {
  const key = keyDocument({ scopes: ['key:read', 'event:read'] });
  t.is(updateKey(key, { ...key, scopes: ['event:read', 'key:read'] }, occasion), undefined);
  const change = updateKey(key, { ...key, name: 'deploy', expireTime: inAnHour }, occasion);
  t.like(change?.after, { name: 'deploy', expireTime: inAnHour, revision: 2 });
  t.like(change?.events, [
    {
      event: 'key_updated',
      body: {
        changes: [
          { field: 'name', from: 'ci', to: 'deploy' },
          { field: 'expire_time', to: inAnHour.toISOString() },
        ],
      },
    },
  ]);
});

test('an update without a mask sets every field that is not empty', (t) => {
  const key = keyDocument({ organizationIds: ['org_a'], expireTime: inAnHour });
  const given = apiKey({ name: 'deploy' });
  const settings = applyUpdate(key, given, namedFields(given, undefined));
  t.like(settings, {
    ...{ name: 'deploy', scopes: ['*'], organizationIds: ['org_a'], expireTime: inAnHour },
  });
});

test('an update with a mask sets exactly the fields that it names, including empty ones', (t) => {
  const key = keyDocument({ organizationIds: ['org_a'], expireTime: inAnHour });
  const settings = applyUpdate(key, apiKey({ name: 'ignored' }), [
    'organization_ids',
    'expire_time',
  ]);
  t.like(settings, { name: 'ci', organizationIds: [], expireTime: undefined });
});

test('an update that only widens ends nobody’s access', (t) => {
  const narrow = { scopes: ['project:read'], projectIds: ['prj_1'], expireTime: now };
  const key = keyDocument(narrow);
  const keeps = (given: Partial<ApiKey>, named: string[]) =>
    keepsAccess(key, applyUpdate(key, apiKey(given), named), named);
  t.true(keeps({ name: 'other' }, ['name']));
  t.true(keeps({ scopes: ['project:write'] }, ['scopes']));
  t.true(keeps({ scopes: ['project:read', 'event:read'] }, ['scopes']));
  t.true(keeps({ projectIds: ['prj_1', 'prj_2'] }, ['project_ids']));
  t.true(keeps({}, ['project_ids', 'expire_time']), 'no restriction, no expiry');
  t.true(keeps({ expireTime: inAnHour }, ['expire_time']));
  t.false(keeps({ scopes: ['event:read'] }, ['scopes']));
  t.false(keeps({ projectIds: ['prj_2'] }, ['project_ids']));
  t.false(
    keeps({ organizationIds: [], projectIds: ['prj_2'], scopes: ['*'] }, ['scopes', 'project_ids']),
  );
  t.false(keeps({ expireTime: new Date(now.getTime() - 1) }, ['expire_time']));
  t.false(
    keeps({ scopes: ['project:read'] }, ['scopes']),
    'another call may have narrowed the field to this value',
  );
  t.false(keeps({ name: 'other', expireTime: now }, ['name', 'expire_time']));
});

test('an update that leaves a key without a name or without a scope is refused', (t) => {
  const error = t.throws(() => applyUpdate(keyDocument(), apiKey(), ['name', 'scopes']), {
    instanceOf: SiloError,
  });
  t.deepEqual(
    error?.details.badRequest?.map(({ field }) => field),
    ['api_key.name', 'api_key.scopes'],
  );
});

test('a secret expires with its key or with its overlap, whichever ends first', (t) => {
  t.is(secretExpiry(undefined, undefined), undefined);
  t.is(secretExpiry(now, undefined), now);
  t.is(secretExpiry(undefined, now), now);
  t.is(secretExpiry(now, inAnHour), now);
  t.is(secretExpiry(inAnHour, now), now);
});

test('a change ends its caller if the secret is gone, disabled, or expires earlier', (t) => {
  const key = keyDocument({ secrets: [old] });
  const caller: KeyFact = {
    ...{ keyId: key._id, accountId: 'acc_1', scopes: ['*'], organizationIds: [], projectIds: [] },
    ...{ expireTime: undefined, disabled: false },
  };
  const ends = (after: typeof key | undefined) => endsCaller(caller, old.hash, after);
  t.false(ends({ ...key, name: 'other' }));
  t.true(ends(undefined));
  t.true(ends({ ...key, disabled: true }));
  t.true(ends({ ...key, secrets: [fresh] }));
  t.true(ends({ ...key, secrets: [fresh, { ...old, expireTime: inAnHour }] }));
  t.true(ends({ ...key, expireTime: inAnHour }));
});
