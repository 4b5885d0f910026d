import { randomInt } from 'node:crypto';
import { monotonicFactory } from 'ulid';

/** The regions in which an organization can live. */
const regions = ['us', 'eu'] as const;
export type Region = (typeof regions)[number];

/** The prefix of an id: the kind of resource, and the region of an organization or migration. */
export type IdPrefix =
  | 'acc'
  | `org_${Region}`
  | 'prj'
  | 'key'
  | 'inv'
  | 'mov'
  | `mig_${Region}`
  | 'evd';

// A ULID in lower case: 26 characters of Crockford's base 32 (without i, l, o, u), 128 bits, so
// that the first is at most 7. https://github.com/ulid/spec
const sortablePart = '[0-7][0-9a-hjkmnp-tv-z]{25}';

/**
 * The regular expressions of all ids, as in the protos' validation rules.
 * @internal Exported for tests.
 */
export const idPatterns = {
  account: `^acc_${sortablePart}$`,
  organization: `^org_[a-z]{2}_${sortablePart}$`,
  project: `^prj_${sortablePart}$`,
  key: `^key_${sortablePart}$`,
  invite: `^inv_${sortablePart}$`,
  move: `^mov_${sortablePart}$`,
  migration: `^mig_[a-z]{2}_${sortablePart}$`,
  eventDeletion: `^evd_${sortablePart}$`,
} as const;

export type IdKind = keyof typeof idPatterns;

const compiledPatterns = Object.fromEntries(
  Object.entries(idPatterns).map(([kind, pattern]) => [kind, new RegExp(pattern)]),
) as Record<IdKind, RegExp>;

// Used in place of ulid's own source, which maps one random byte to 0..1 inclusive and so favours
// the last character.
function evenRandom(): number {
  return randomInt(32) / 32;
}

/** Makes new ids, each of which sorts after the previous one. */
export type IdMaker = (prefix: IdPrefix, options?: { now?: Date }) => string;

/**
 * Makes a maker of ids. `random` yields numbers from 0 to below 1.
 * @internal Exported for tests.
 */
export function createIdMaker(random: () => number = evenRandom): IdMaker {
  const next = monotonicFactory(random);
  return (prefix, { now = new Date() } = {}) => `${prefix}_${next(now.getTime()).toLowerCase()}`;
}

/**
 * Makes a new id such as `prj_01k…` or `org_us_01k…`. The ids of one process sort in the order in
 * which they were made, those of several processes by time, to the millisecond.
 */
export const newId: IdMaker = createIdMaker();

/** True if `text` has the form of an id of that kind, whether or not the thing exists. */
export function isId(kind: IdKind, text: string): boolean {
  return compiledPatterns[kind].test(text);
}

/**
 * The region in the id of an organization or migration; undefined for other ids. A migration's
 * region is the one in which it was requested.
 */
export function regionOf(id: string): string | undefined {
  return isId('organization', id) || isId('migration', id) ? id.slice(4, 6) : undefined;
}
