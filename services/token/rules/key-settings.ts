import { errors } from '@silo/errors/errors.ts';
import type { FieldViolation } from '@silo/errors/silo-error.ts';
import type { ApiKey } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import type { KeySettings } from './key-changes.ts';

const fields = ['name', 'scopes', 'organization_ids', 'project_ids', 'expire_time'] as const;

type Field = (typeof fields)[number];

/** The settings of a new key. */
export function settingsOf(apiKey: ApiKey): KeySettings {
  const { name, scopes, organizationIds, projectIds, expireTime } = apiKey;
  return { name, scopes, organizationIds, projectIds, expireTime };
}

/**
 * Returns the fields that an update sets (AIP-134): those that the mask names or, without a mask,
 * those that are not empty in `given`.
 */
export function namedFields(given: ApiKey, mask: readonly string[] | undefined): readonly string[] {
  return mask !== undefined && mask.length > 0 ? mask : populated(given);
}

/**
 * Returns the settings after an update: the named ones from `given`, the others unchanged. Refuses
 * with INVALID_FIELD if the name or the scopes would be empty.
 */
export function applyUpdate(
  key: KeySettings,
  given: ApiKey,
  named: readonly string[],
): KeySettings {
  const isNamed = (field: Field) => named.includes(field);
  const violations: FieldViolation[] = [];
  if (isNamed('name') && given.name === '') {
    violations.push({ field: 'api_key.name', description: 'is missing' });
  }
  if (isNamed('scopes') && given.scopes.length === 0) {
    violations.push({ field: 'api_key.scopes', description: 'needs at least one scope' });
  }
  if (violations.length > 0) throw errors.invalidField(violations);
  return {
    name: isNamed('name') ? given.name : key.name,
    scopes: isNamed('scopes') ? given.scopes : key.scopes,
    organizationIds: isNamed('organization_ids') ? given.organizationIds : key.organizationIds,
    projectIds: isNamed('project_ids') ? given.projectIds : key.projectIds,
    expireTime: isNamed('expire_time') ? given.expireTime : key.expireTime,
  };
}

/** Refuses with INVALID_FIELD an expiry that is not in the future. */
export function checkExpiresLater(expireTime: Date | undefined, now: Date): void {
  if (expireTime === undefined || expireTime > now) return;
  const description = 'must be in the future. To end a key now, delete or disable it';
  throw errors.invalidField([{ field: 'api_key.expire_time', description }]);
}

/** Returns an expiry in milliseconds, for comparisons; undefined: never. */
export function expiryOf({ expireTime }: Pick<KeySettings, 'expireTime'>): number | undefined {
  return expireTime?.getTime();
}

function populated(given: ApiKey): Field[] {
  const isPopulated: Record<Field, boolean> = {
    name: given.name !== '',
    scopes: given.scopes.length > 0,
    organization_ids: given.organizationIds.length > 0,
    project_ids: given.projectIds.length > 0,
    expire_time: given.expireTime !== undefined,
  };
  return fields.filter((field) => isPopulated[field]);
}
