import type { Metadata } from '@grpc/grpc-js';
import { hashOf, isWellFormed, secretPrefixes } from '@silo/tokens/secrets.ts';

const bearer = /^bearer +(\S+)$/i;

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
  const [, secret] = bearer.exec(value ?? '') ?? [];
  if (secret === undefined || !isWellFormed(secret, secretPrefixes.apiKey)) return undefined;
  return hashOf(secret);
}
