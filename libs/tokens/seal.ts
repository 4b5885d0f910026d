import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import type { RandomBytes } from './secrets.ts';

// Sealed form: version (1 byte), nonce (12), authentication tag (16), ciphertext.
const version = 1;
const keySizeBytes = 32;
const nonceSizeBytes = 12;
const tagSizeBytes = 16;
const headerSizeBytes = 1 + nonceSizeBytes + tagSizeBytes;

// The key and the stored hash are derived from the same id; different names prevent deriving one
// from the other.
const sealingSalt = 'silo/seal/salt/v1';
const sealingInfo = 'silo/seal/aes-256-gcm/v1';
const hashDomain = 'silo/request-id/sha-256/v1';

function sealingKey(requestId: string): Buffer {
  if (requestId === '') throw new RangeError('an empty request id seals nothing');
  return Buffer.from(hkdfSync('sha256', requestId, sealingSalt, sealingInfo, keySizeBytes));
}

/**
 * Seals `plaintext` (a string is taken as UTF-8) so that only a holder of the request id can open
 * it. HKDF-SHA-256 (RFC 5869), then AES-256-GCM. The id must be hard to guess: a UUIDv4.
 */
export function sealWith(
  requestId: string,
  plaintext: string | Uint8Array,
  random: RandomBytes = randomBytes,
): Buffer {
  const nonce = random(nonceSizeBytes);
  const header = Buffer.of(version);
  const cipher = createCipheriv('aes-256-gcm', sealingKey(requestId), nonce);
  cipher.setAAD(header);
  const bytes = typeof plaintext === 'string' ? Buffer.from(plaintext, 'utf8') : plaintext;
  const ciphertext = Buffer.concat([cipher.update(bytes), cipher.final()]);
  return Buffer.concat([header, nonce, cipher.getAuthTag(), ciphertext]);
}

/**
 * Opens the result of `sealWith`; undefined for another request id, changed bytes or another
 * version.
 */
export function openWith(requestId: string, sealed: Uint8Array): Buffer | undefined {
  const bytes = Buffer.from(sealed);
  if (bytes.length < headerSizeBytes || bytes[0] !== version) return undefined;
  const nonce = bytes.subarray(1, 1 + nonceSizeBytes);
  const decipher = createDecipheriv('aes-256-gcm', sealingKey(requestId), nonce, {
    authTagLength: tagSizeBytes,
  });
  decipher.setAAD(bytes.subarray(0, 1));
  decipher.setAuthTag(bytes.subarray(1 + nonceSizeBytes, headerSizeBytes));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(headerSizeBytes)), decipher.final()]);
  } catch {
    return undefined; // final() throws on a wrong tag, without details
  }
}

/**
 * The 32 bytes under which a request id is stored: SHA-256 over its scope and itself, e.g.
 * `hashRequestId(accountId, method, requestId)`. Each part is hashed with its length, so that no
 * two lists of parts have the same bytes. The hash does not help to open a seal.
 */
export function hashRequestId(...scopeParts: string[]): Buffer {
  const hash = createHash('sha256');
  for (const part of [hashDomain, ...scopeParts]) {
    const bytes = Buffer.from(part, 'utf8');
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    hash.update(length).update(bytes);
  }
  return hash.digest();
}
