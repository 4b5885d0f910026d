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

/** Everything, then reading and changing area by area. */
export const allScopes = ['*', ...areas.flatMap((area) => [`${area}:read`, `${area}:write`])];

/** What a key may do; completion knows the scopes. */
export function scopeOption() {
  return new Option('--scope <scope...>', 'what it may do').choices(allScopes);
}

/** A point in time, or how long from now: `2027-01-31`, `90d`. */
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

/** A length of time such as `1h`, in seconds. */
export function parseDurationSeconds(text: string): number {
  const durationMs = durationMsOf(text);
  if (durationMs === undefined) throw new InvalidArgumentError('Write 30s, 15m, 12h or 7d.');
  return durationMs / 1_000;
}
