import { fingerprintOf, hashOf, maskOf, newApiKey, newProjectToken } from '@silo/tokens/secrets.ts';
import type { FreshToken } from '../../rules/project-token.ts';
import type { KeySecret } from '../../store/documents.ts';

/** Generates an API key's secret, and the parts of it that may be stored. */
export function freshKeySecret(): { secret: string; stored: KeySecret } {
  const secret = newApiKey();
  const hash = hashOf(secret);
  return { secret, stored: { hash, masked: maskOf(secret), fingerprint: fingerprintOf(hash) } };
}

/** Generates a project token with its hash and fingerprint. */
export function freshToken(): FreshToken {
  const token = newProjectToken();
  const hash = hashOf(token);
  return { token, hash, fingerprint: fingerprintOf(hash) };
}
