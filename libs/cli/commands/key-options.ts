import { InvalidArgumentError, Option } from '@commander-js/extra-typings';
import { durationMsOf } from '../times.ts';

const areas = [
  'account',
  'organization',
  'activity',
  'project',
  'event',
  'token',
  'key',
  'billing',
];

/** The scope for everything, then the scopes to read and change each area. */
export const allScopes = ['*', ...areas.flatMap((area) => [`${area}:read`, `${area}:write`])];

/** The option for a key's scopes; completion offers the scopes. */
export function scopeOption() {
  return new Option('--scope <scope...>', 'what it may do').choices(allScopes);
}

/** The option for a key's expiry: a date or a time from now, such as `2027-01-31` or `90d`. */
export function expiryOption() {
  return new Option(
    '--expires <when>',
    'a date such as 2027-01-31, or a time from now such as 90d',
  ).argParser((text: string): Date => {
    const durationMs = durationMsOf(text);
    const time = new Date(durationMs === undefined ? text : Date.now() + durationMs);
    if (Number.isNaN(time.getTime())) throw new InvalidArgumentError('Write 2027-01-31, or 90d.');
    return time;
  });
}

/** Parses a duration such as `1h`; returns seconds. */
export function parseDurationSeconds(text: string): number {
  const durationMs = durationMsOf(text);
  if (durationMs === undefined) throw new InvalidArgumentError('Write 30s, 15m, 12h or 7d.');
  return durationMs / 1_000;
}
