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

/** What an update sets (AIP-134): what the mask names; without a mask, what `asked` holds. */
export function namedFields(asked: ApiKey, mask: readonly string[] | undefined): readonly string[] {
  return mask !== undefined && mask.length > 0 ? mask : populated(asked);
}

/**
 * The settings after an update, those that are named taken from `asked`. Refuses with INVALID_FIELD
 * where name or scopes would be empty.
 */
export function applyUpdate(
  key: KeySettings,
  asked: ApiKey,
  named: readonly string[],
): KeySettings {
  const isNamed = (field: Field) => named.includes(field);
  const violations: FieldViolation[] = [];
  if (isNamed('name') && asked.name === '') {
    violations.push({ field: 'api_key.name', description: 'a key needs a name' });
  }
  if (isNamed('scopes') && asked.scopes.length === 0) {
    violations.push({ field: 'api_key.scopes', description: 'a key needs at least one scope' });
  }
  if (violations.length > 0) throw errors.invalidField(violations);
  return {
    name: isNamed('name') ? asked.name : key.name,
    scopes: isNamed('scopes') ? asked.scopes : key.scopes,
    organizationIds: isNamed('organization_ids') ? asked.organizationIds : key.organizationIds,
    projectIds: isNamed('project_ids') ? asked.projectIds : key.projectIds,
    expireTime: isNamed('expire_time') ? asked.expireTime : key.expireTime,
  };
}

/** Refuses with INVALID_FIELD an expiry at which the key would be dead at once. */
export function checkExpiresLater(expireTime: Date | undefined, now: Date): void {
  if (expireTime === undefined || expireTime > now) return;
  const description = 'must be in the future; DeleteApiKey or DisableApiKey end a key now';
  throw errors.invalidField([{ field: 'api_key.expire_time', description }]);
}

/** An expiry in milliseconds, to be compared; undefined: never. */
export function expiryOf({ expireTime }: Pick<KeySettings, 'expireTime'>): number | undefined {
  return expireTime?.getTime();
}

function populated(asked: ApiKey): Field[] {
  const isPopulated: Record<Field, boolean> = {
    name: asked.name !== '',
    scopes: asked.scopes.length > 0,
    organization_ids: asked.organizationIds.length > 0,
    project_ids: asked.projectIds.length > 0,
    expire_time: asked.expireTime !== undefined,
  };
  return fields.filter((field) => isPopulated[field]);
}
