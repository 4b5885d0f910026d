import { hash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { encodeBase62 } from './base62.ts';

/** Returns `sizeBytes` random bytes; tests pass their own function. */
export type RandomBytes = (sizeBytes: number) => Uint8Array;

/** The prefix of each kind of secret. `ivc_` is an invite's code, `inv_` the invite's id. */
export const secretPrefixes = { projectToken: 'phc_', apiKey: 'phx_', inviteCode: 'ivc_' } as const;
export type SecretPrefix = (typeof secretPrefixes)[keyof typeof secretPrefixes];

const randomSizeBytes = 32;
const bodyLength = 43; // 62^43 is the first power of 62 above 2^256
const checksumLength = 6; // 62^6 is the first power of 62 above 2^32
const prefixLength = 4;
/** Length of every secret. */
export const secretLength = prefixLength + bodyLength + checksumLength;

/** Matches every secret inside a longer text (no anchors), to redact them. */
export const secretPattern = `(?:phc|phx|ivc)_[0-9A-Za-z]{${bodyLength + checksumLength}}`;

const base62Text = /^[0-9A-Za-z]+$/;

function checksumOf(text: string): string {
  return encodeBase62(BigInt(crc32(text)), checksumLength);
}

function newSecret(prefix: SecretPrefix, random: RandomBytes): string {
  const bytes = random(randomSizeBytes);
  if (bytes.length !== randomSizeBytes) throw new RangeError(`${randomSizeBytes} bytes are needed`);
  const value = BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
  const unchecked = prefix + encodeBase62(value, bodyLength);
  return unchecked + checksumOf(unchecked);
}

/** Makes a project token, `phc_…`: 256 random bits and a checksum. */
export function newProjectToken(random: RandomBytes = randomBytes): string {
  return newSecret(secretPrefixes.projectToken, random);
}

/** Makes a personal API key, `phx_…`, in the form of a project token. */
export function newApiKey(random: RandomBytes = randomBytes): string {
  return newSecret(secretPrefixes.apiKey, random);
}

/** Makes an invite's one-time code, `ivc_…`, in the form of a project token. */
export function newInviteCode(random: RandomBytes = randomBytes): string {
  return newSecret(secretPrefixes.inviteCode, random);
}

/**
 * True if `secret` has the form of a secret of Silo: prefix, length, alphabet, checksum. Needs no
 * I/O and costs the same for input of any length. A change of one character, or a swap of two
 * neighbours, is always noticed (CRC-32 finds every burst of up to 32 bits).
 */
export function isWellFormed(secret: string, prefix: SecretPrefix): boolean {
  if (secret.length !== secretLength || !secret.startsWith(prefix)) return false;
  if (!base62Text.test(secret.slice(prefixLength))) return false;
  return secret.endsWith(checksumOf(secret.slice(0, -checksumLength)));
}

/** SHA-256 of the secret, 32 bytes: what is stored and looked up. */
export function hashOf(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}

/** The name of a secret in logs and events: the first 12 hex digits of its SHA-256. */
export function fingerprintOf(secretOrHash: string | Uint8Array): string {
  const hash = typeof secretOrHash === 'string' ? hashOf(secretOrHash) : secretOrHash;
  if (hash.length !== 32) throw new RangeError('a SHA-256 has 32 bytes');
  return Buffer.from(hash).toString('hex').slice(0, 12);
}

/**
 * The part of a secret that its owner sees later: `phx_...` and its last four characters, which
 * belong to the checksum.
 */
export function maskOf(secret: string): string {
  // A text of another length may be mostly secret, so nothing of it is shown.
  if (secret.length !== secretLength) return '...';
  return `${secret.slice(0, prefixLength)}...${secret.slice(-4)}`;
}
