import { errors } from '@silo/errors/errors.ts';
import type { FieldChange } from '@silo/protos/gen/silo/events/v1/events.ts';
import { fieldsToUpdate } from './update-mask.ts';

/** The fields of an account that its owner may change. */
export type AccountFields = { displayName: string; currentProjectId: string };

/**
 * Returns the fields that a request sets. Refuses with INVALID_FIELD if the name would become
 * empty.
 */
export function wantedAccountFields(
  given: AccountFields,
  mask: readonly string[] | undefined,
): Partial<AccountFields> {
  const { displayName, currentProjectId } = given;
  const fields = fieldsToUpdate(mask, {
    display_name: displayName !== '',
    current_project_id: currentProjectId !== '',
  });
  if (fields.has('display_name') && displayName === '') {
    const description = 'must have 1-64 characters';
    throw errors.invalidField([{ field: 'account.display_name', description }]);
  }
  return {
    ...(fields.has('display_name') && { displayName }),
    ...(fields.has('current_project_id') && { currentProjectId }),
  };
}

/**
 * Returns the fields that really change, with old and new values, by their names in the public API.
 */
export function accountChanges(
  before: AccountFields,
  { displayName, currentProjectId }: Partial<AccountFields>,
): FieldChange[] {
  const changes: FieldChange[] = [];
  if (displayName !== undefined && displayName !== before.displayName) {
    changes.push({ field: 'display_name', from: before.displayName, to: displayName });
  }
  if (currentProjectId !== undefined && currentProjectId !== before.currentProjectId) {
    const from = before.currentProjectId;
    changes.push({ field: 'current_project_id', from, to: currentProjectId });
  }
  return changes;
}
