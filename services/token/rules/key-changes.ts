import { exceeds } from '@silo/access/reach.ts';
import { holdsScope } from '@silo/access/scopes.ts';
import type { FieldChange } from '@silo/protos/gen/silo/events/v1/events.ts';
import type { KeyFact } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import { keyCreated, keyRevoked, keyUpdated, type Occasion } from '../events.ts';
import type { KeyDocument, KeySecret } from '../store/documents.ts';
import { rollSecrets, secretExpiry } from './key-secrets.ts';

/** An event of a key, which is emitted in the transaction of the change. */
export type KeyEvent = { event: string; subject: string; body: unknown };

/** The change of a key with its events. `after` undefined: the key is deleted. */
export type KeyChange = { after: KeyDocument | undefined; events: KeyEvent[] };

/** The fields of a key that its owner sets. */
export type KeySettings = Pick<
  KeyDocument,
  'name' | 'scopes' | 'organizationIds' | 'projectIds' | 'expireTime'
>;

/** Creates a key with this secret. */
export function newKey(
  init: KeySettings & { id: string; accountId: string; secret: KeySecret },
  occasion: Occasion,
): { key: KeyDocument; event: KeyEvent } {
  const { now } = occasion;
  const { id, accountId, name, scopes, organizationIds, projectIds, expireTime, secret } = init;
  const key: KeyDocument = {
    ...{ _id: id, accountId, name, scopes, organizationIds, projectIds, expireTime },
    ...{ disabled: false, secrets: [secret], revision: 1, createTime: now, updateTime: now },
  };
  return { key, event: keyCreated(key, occasion) };
}

/** Changes settings. Returns undefined if none changes. */
export function updateKey(
  key: KeyDocument,
  settings: KeySettings,
  occasion: Occasion,
): KeyChange | undefined {
  const before = describe(key);
  const after = describe(settings);
  const changes = Object.entries(after)
    .map(([field, to]) => ({ field, from: before[field] ?? '', to }))
    .filter(({ from, to }) => from !== to);
  if (changes.length === 0) return undefined;
  return updated({ ...key, ...settings }, changes, occasion);
}

/**
 * Whether an update ends nobody's access because it only widens. A field that the update names and
 * that has the given value already may have been narrowed by a call that still waits for its
 * barrier.
 */
export function keepsAccess(
  before: KeySettings,
  after: KeySettings,
  named: readonly string[],
): boolean {
  const from = describe(before);
  const to = describe(after);
  const isSettled = (field: string) => field === 'name' || from[field] !== to[field];
  return exceeds(before, after) === undefined && named.every(isSettled);
}

/** Disables or enables a key. Returns undefined if it has this state already. */
export function setDisabled(
  key: KeyDocument,
  disabled: boolean,
  occasion: Occasion,
): KeyChange | undefined {
  if (key.disabled === disabled) return undefined;
  const change = { field: 'disabled', from: String(key.disabled), to: String(disabled) };
  return updated({ ...key, disabled }, [change], occasion);
}

/** Replaces the secret under the same id. The old one stays valid for `overlapMs`. */
export function rollKey(
  key: KeyDocument,
  fresh: KeySecret,
  overlapMs: number,
  occasion: Occasion,
): KeyChange {
  const { now } = occasion;
  const { secrets, killed } = rollSecrets(key.secrets, fresh, { overlapMs, now });
  const events = revoked(key, killed, fresh.fingerprint, occasion);
  const after = { ...key, secrets, revision: key.revision + events.length, updateTime: now };
  if (overlapMs <= 0) return { after, events };
  const change = { field: 'fingerprint', from: key.secrets[0].fingerprint, to: fresh.fingerprint };
  const rolled = updated(after, [change], occasion);
  return { after: rolled.after, events: [...events, ...rolled.events] };
}

/** Ends a key with all its secrets. */
export function deleteKey(key: KeyDocument, occasion: Occasion): KeyChange {
  return { after: undefined, events: revoked(key, key.secrets, '', occasion) };
}

/** Whether the caller's secret can no longer make this call, or expires earlier than before. */
export function endsCaller(
  caller: KeyFact,
  callerHash: Uint8Array,
  after: KeyDocument | undefined,
): boolean {
  const secret = after?.secrets.find(({ hash }) => Buffer.from(callerHash).equals(hash));
  if (after === undefined || secret === undefined || after.disabled) return true;
  if (!holdsScope(after.scopes, 'key:write')) return true;
  const expireTime = secretExpiry(after.expireTime, secret.expireTime);
  if (expireTime === undefined) return false;
  return caller.expireTime === undefined || expireTime < caller.expireTime;
}

function updated(key: KeyDocument, changes: FieldChange[], occasion: Occasion): KeyChange {
  const after = { ...key, revision: key.revision + 1, updateTime: occasion.now };
  return { after, events: [keyUpdated(after, changes, occasion)] };
}

/** Creates one event for each ended secret. Each event has its own revision. */
function revoked(
  key: KeyDocument,
  ended: readonly KeySecret[],
  newFingerprint: string,
  occasion: Occasion,
): KeyEvent[] {
  return ended.map(({ fingerprint }, index) => {
    const revision = key.revision + index + 1;
    return keyRevoked(key, { fingerprint, newFingerprint, revision }, occasion);
  });
}

/** Returns the settings as texts, by their names in the public API. */
function describe(settings: KeySettings): Record<string, string> {
  return {
    name: settings.name,
    scopes: [...settings.scopes].sort().join(','),
    organization_ids: [...settings.organizationIds].sort().join(','),
    project_ids: [...settings.projectIds].sort().join(','),
    expire_time: settings.expireTime?.toISOString() ?? '',
  };
}
