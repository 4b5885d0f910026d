/** A rule that a value breaks, as protovalidate names and describes it. */
type Broken = { ruleId: string; message: string };

const missing = 'is missing';
const anOrigin = 'must be an origin, such as https://app.example.com';

/** Descriptions by rule id, where the rule's own description is not clear enough for people. */
const rules = new Map([
  ['required', missing],
  ['enum.not_in', missing],
  ['string.uri', anOrigin],
  ['repeated.unique', 'must not have the same value twice'],
]);

/** protovalidate's descriptions for a text or list that must not be empty. */
const atLeastOne = new Set(['must be at least 1 characters', 'must contain at least 1 item(s)']);

/** Descriptions of the patterns in the protos, other than those of ids. */
const patterns = new Map([
  ['^[A-Z]{2}$', 'must be two capital letters, such as DE'],
  ['^[Hh][Tt][Tt][Pp][Ss]?://[^/?#]', anOrigin],
  ['^[A-Za-z0-9_+/-]*$', 'must be a time zone of the IANA database, such as `Europe/Berlin`'],
  ['^[a-z]{2}$', 'must be a region of two small letters, such as eu'],
  ['^([0-9a-f]{12})?$', 'must be a fingerprint of 12 hexadecimal digits, or empty'],
  ['^[0-9a-f-]{0,128}$', 'must be a fingerprint as a preview shows it, or empty'],
  ['^[0-9a-z]{26}$', 'must be a ULID in small letters'],
  ['^[ -~]{0,128}$', 'must have at most 128 characters, printable and of ASCII'],
  ['^[ -~]{0,256}$', 'must have at most 256 characters, printable and of ASCII'],
  [
    '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$',
    'must be a UUID of version 4, as from uuidgen',
  ],
  [
    '^(\\*|(account|organization|activity|project|event|token|key|billing):(read|write))$',
    'must be a scope, such as project:read, or * for all',
  ],
  [
    '^(|(account|organization|activity|project|event|token|key|billing):(read|write))$',
    'must be a scope, such as project:read, or empty',
  ],
]);

const idPattern = /^\^([a-z]+_)(\[a-z\]\{2\}_)?\[0-9a-z\]\{26\}\$$/;

/** What is wrong with a value, in words for people: without regular expressions. */
export function ruleText({ ruleId, message }: Broken): string {
  if (atLeastOne.has(message) || ruleId.endsWith('_empty')) return missing;
  const pattern = ruleId === 'string.pattern' ? /`(.*)`$/s.exec(message)?.[1] : undefined;
  return rules.get(ruleId) ?? (pattern && patternText(pattern)) ?? message;
}

/** @internal Exported for tests: undefined for a pattern without words. */
export function patternText(pattern: string): string | undefined {
  const [, prefix, region] = idPattern.exec(pattern) ?? [];
  if (prefix !== undefined)
    return `must be an id that begins with ${prefix}${region ? 'REGION_' : ''}`;
  return patterns.get(pattern);
}
