import type { Metadata } from '@grpc/grpc-js';
import { hashOf, isWellFormed, type SecretPrefix, secretPrefixes } from '@silo/tokens/secrets.ts';

const bearer = /^bearer +(\S+)$/i;

/** The project token in `authorization: Bearer phc_…`; undefined if it cannot be one. */
export function projectTokenOf(metadata: Metadata): string | undefined {
  const values = metadata.get('authorization');
  const [value] = values;
  if (values.length !== 1 || typeof value !== 'string') return undefined;
  return projectTokenOfHeader(value);
}

/** The same for the text of the header. */
export function projectTokenOfHeader(value: string | undefined): string | undefined {
  const [, secret = ''] = bearer.exec(value ?? '') ?? [];
  return isWellFormed(secret, secretPrefixes.projectToken) ? secret : undefined;
}

/**
 * SHA-256 of the API key in `authorization: Bearer phx_…`; undefined if it cannot be an API key.
 */
export function keyHashOf(metadata: Metadata): Buffer | undefined {
  const values = metadata.get('authorization');
  const [value] = values;
  if (values.length !== 1 || typeof value !== 'string') return undefined;
  return keyHashOfHeader(value);
}

/** The same for the text of the header. */
export function keyHashOfHeader(value: string | undefined): Buffer | undefined {
  return hashOfHeader(value, [secretPrefixes.apiKey]);
}

/** SHA-256 of the API key or project token in the header's text. */
export function secretHashOfHeader(value: string | undefined): Buffer | undefined {
  return hashOfHeader(value, [secretPrefixes.apiKey, secretPrefixes.projectToken]);
}

function hashOfHeader(
  value: string | undefined,
  prefixes: readonly SecretPrefix[],
): Buffer | undefined {
  const [, secret] = bearer.exec(value ?? '') ?? [];
  if (secret === undefined) return undefined;
  return prefixes.some((prefix) => isWellFormed(secret, prefix)) ? hashOf(secret) : undefined;
}
