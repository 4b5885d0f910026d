import type { EventDraft } from '@silo/log/event-log.ts';
import {
  ApiKeyCreated,
  ApiKeyRevoked,
  ApiKeyUpdated,
  type FieldChange,
  TokenCreated,
  TokenRevoked,
} from '@silo/protos/gen/silo/events/v1/events.ts';
import type { KeyDocument } from './store/documents.ts';

/** The actor and the time of a change. */
export type Occasion = { actor: string; now: Date };

export function tokenCreated(
  token: { projectId: string; fingerprint: string; revision: number },
  { actor, now: time }: Occasion,
): EventDraft {
  const body = TokenCreated.toJSON({ ...token, actor, time });
  return { event: 'created', subject: token.projectId, body };
}

/**
 * `organizationId` is empty if the project is purged, `newFingerprint` if no other token replaces
 * this one.
 */
export function tokenRevoked(
  token: {
    projectId: string;
    organizationId: string;
    fingerprint: string;
    newFingerprint: string;
    revision: number;
  },
  { actor, now: time }: Occasion,
): EventDraft {
  const body = TokenRevoked.toJSON({ ...token, actor, time });
  return { event: 'revoked', subject: token.projectId, body };
}

export function keyCreated(key: KeyDocument, { actor, now: time }: Occasion): EventDraft {
  const { _id: keyId, accountId, name, scopes, revision, secrets } = key;
  const [{ fingerprint }] = secrets;
  const body = { keyId, accountId, name, fingerprint, scopes, revision, actor, time };
  return { event: 'key_created', subject: keyId, body: ApiKeyCreated.toJSON(body) };
}

export function keyUpdated(
  { _id: keyId, accountId, disabled, revision }: KeyDocument,
  changes: FieldChange[],
  { actor, now: time }: Occasion,
): EventDraft {
  const body = { keyId, accountId, changes, disabled, revision, actor, time };
  return { event: 'key_updated', subject: keyId, body: ApiKeyUpdated.toJSON(body) };
}

/** The end of one secret of a key. `newFingerprint` is empty if no other secret replaces it. */
export function keyRevoked(
  { _id: keyId, accountId }: KeyDocument,
  secret: { fingerprint: string; newFingerprint: string; revision: number },
  { actor, now: time }: Occasion,
): EventDraft {
  const body = ApiKeyRevoked.toJSON({ keyId, accountId, ...secret, actor, time });
  return { event: 'key_revoked', subject: keyId, body };
}
