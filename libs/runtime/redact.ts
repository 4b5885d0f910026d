import { secretPattern } from '@silo/tokens/secrets.ts';
import pino from 'pino';

const blot = '[redacted]';
const depthMax = 8;

// Compared in lower case without `_` and `-`, to match every spelling of a field.
const secretNames = new Set([
  'authorization',
  'cookie',
  'code',
  'invitecode',
  'requestid',
  'apikey',
  'privatekey',
]);
const secretEndings = /(?:token|secret|password|credentials)s?$/;

// Each pattern runs in linear time: a failed match ends after a bounded number of characters, and a
// successful one continues behind its end.
const secretsInText: [RegExp, (found: string) => string][] = [
  [new RegExp(secretPattern, 'g'), () => blot],
  // For MongoDB and NATS, even if the password has reserved characters that are not
  // percent-encoded.
  [/\b(?:mongodb(?:\+srv)?|nats|tls):\/\/[^\s"]*/gi, withoutUser],
  [/:\/\/[^\s"/@]+@?/g, withoutUser],
  [/\bBearer\s+[^\s"\\]+/gi, () => `Bearer ${blot}`],
];

/** A URL, or a part of it, without the part before its last `@`. */
function withoutUser(url: string): string {
  const end = url.lastIndexOf('@');
  return end === -1 ? url : url.slice(0, url.indexOf('://') + 3) + blot + url.slice(end);
}

function isSecretName(name: string): boolean {
  const plain = name.toLowerCase().replace(/[_-]/g, '');
  return secretNames.has(plain) || secretEndings.test(plain);
}

/**
 * Redacts secrets that have a known form: tokens, keys, codes, bearers, users and passwords in
 * URLs.
 */
export function redactText(text: string): string {
  return secretsInText.reduce((rest, [pattern, instead]) => rest.replace(pattern, instead), text);
}

/**
 * A copy of `fields` with every value under the name of a secret redacted, at any depth, also
 * inside errors. Numbers, and the text `code` of an error (ECONNRESET), are kept.
 */
export function redactFields(fields: Record<string, unknown>): Record<string, unknown> {
  return redactObject(fields, 0, false);
}

function redactObject(
  fields: Record<string, unknown>,
  depth: number,
  isError: boolean,
): Record<string, unknown> {
  const entries = Object.entries(fields).map(([name, value]): [string, unknown] => {
    const isStatus = name === 'code' && (isError || typeof value === 'number');
    return [name, isSecretName(name) && !isStatus ? blot : redactValue(value, depth + 1)];
  });
  return Object.fromEntries(entries);
}

function redactValue(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > depthMax) return '[too deep]';
  if (value instanceof Uint8Array) return `[${value.length} bytes]`;
  if (Array.isArray(value)) return value.map((item) => redactValue(item, depth + 1));
  try {
    if (value instanceof Error) {
      return redactObject({ ...pino.stdSerializers.err(value) }, depth, true);
    }
    if ('toJSON' in value && typeof value.toJSON === 'function') {
      return redactValue(value.toJSON(), depth + 1);
    }
    return redactObject({ ...value }, depth, false);
  } catch {
    return '[unreadable]'; // a getter threw, which must not fail the caller
  }
}
