import { errors } from '@silo/errors/errors.ts';
import type { ProjectSettings } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { StoredSettings } from '../store/documents.ts';
import { isPossibleAppUrl } from './edge/allowed-origin.ts';
import { checkChosen } from './property-indexes.ts';

const defaultTimeZone = 'UTC';

/**
 * Settings as stored. `path` is the path of the settings in the request, such as `settings`.
 * Refuses with INVALID_FIELD a time zone that is not in the IANA database, URLs that match no
 * origin, and properties that are always indexed.
 */
export function settingsOf(settings: ProjectSettings | undefined, path: string): StoredSettings {
  return {
    timeZone: timeZoneOf(settings?.timeZone ?? '', path),
    appUrls: appUrlsOf(settings, path),
    anonymizeIps: settings?.anonymizeIps ?? false,
    retentionDays: settings?.retentionDays ?? 0,
    indexedProperties: indexedPropertiesOf(settings, path),
  };
}

function indexedPropertiesOf(settings: ProjectSettings | undefined, path: string): string[] {
  const names = settings?.indexedProperties ?? [];
  checkChosen(names, `${path}.indexed_properties`);
  return names;
}

function appUrlsOf(settings: ProjectSettings | undefined, path: string): string[] {
  const urls = settings?.appUrls ?? [];
  const description =
    'must be a URL whose host has `*` at most first, as in `https://*.example.com`';
  const violations = urls.flatMap((url, index) =>
    isPossibleAppUrl(url) ? [] : [{ field: `${path}.app_urls[${index}]`, description }],
  );
  if (violations.length > 0) throw errors.invalidField(violations);
  return urls;
}

function timeZoneOf(timeZone: string, path: string): string {
  if (timeZone === '') return defaultTimeZone;
  const known = knownTimeZone(timeZone);
  if (known !== undefined) return known;
  const description = 'must be a time zone of the IANA database, such as `Europe/Berlin`';
  throw errors.invalidField([{ field: `${path}.time_zone`, description }]);
}

/** The zone in the spelling of the database; undefined if it is unknown. */
function knownTimeZone(timeZone: string): string | undefined {
  // `Intl` also accepts offsets, which are not zones.
  if (!/^[A-Za-z]/.test(timeZone)) return undefined;
  try {
    const resolved = new Intl.DateTimeFormat('en', { timeZone }).resolvedOptions().timeZone;
    return resolved.toLowerCase() === timeZone.toLowerCase() ? resolved : timeZone;
  } catch {
    return undefined;
  }
}
