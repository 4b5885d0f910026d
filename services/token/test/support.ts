import type { ApiKey } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import { newId } from '@silo/tokens/ids.ts';
import { fingerprintOf, hashOf } from '@silo/tokens/secrets.ts';
import type { KeyDocument, KeySecret } from '../store/documents.ts';

export const now = new Date('2030-01-01T00:00:00Z');

/** The stored parts of a secret that nobody knows. */
export function secretNamed(name: string): KeySecret {
  const hash = hashOf(name);
  return { hash, masked: 'phx_...abcd', fingerprint: fingerprintOf(hash) };
}

/** A stored key with one secret. */
export function keyDocument(over: Partial<KeyDocument> = {}): KeyDocument {
  const id = over._id ?? newId('key');
  return {
    ...{ _id: id, accountId: 'acc_1', name: 'ci', scopes: ['*'] },
    ...{ organizationIds: [], projectIds: [], disabled: false },
    ...{ secrets: [secretNamed(id)], revision: 1, createTime: now, updateTime: now },
    ...over,
  };
}

/** A key as a caller sends it, with only the given fields. */
export function apiKey(over: Partial<ApiKey> = {}): ApiKey {
  return {
    ...{ id: '', accountId: '', name: '', masked: '', fingerprint: '', scopes: [] },
    ...{ organizationIds: [], projectIds: [], expireTime: undefined, disabled: false },
    ...{ createTime: undefined, updateTime: undefined, lastUseTime: undefined },
    ...{ overlapExpireTime: undefined, etag: '' },
    ...over,
  };
}
