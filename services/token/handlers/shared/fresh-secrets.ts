import { fingerprintOf, hashOf, maskOf, newApiKey, newProjectToken } from '@silo/tokens/secrets.ts';
import type { FreshToken } from '../../rules/project-token.ts';
import type { KeySecret } from '../../store/documents.ts';

/** Makes an API key's secret, beside what may be stored of it. */
export function freshKeySecret(): { secret: string; stored: KeySecret } {
  const secret = newApiKey();
  const hash = hashOf(secret);
  return { secret, stored: { hash, masked: maskOf(secret), fingerprint: fingerprintOf(hash) } };
}

/** Makes a project token with the names that it goes by. */
export function freshToken(): FreshToken {
  const token = newProjectToken();
  const hash = hashOf(token);
  return { token, hash, fingerprint: fingerprintOf(hash) };
}
