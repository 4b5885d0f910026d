import { errors } from '@silo/errors/errors.ts';
import type { FieldChange } from '@silo/protos/gen/silo/events/v1/events.ts';
import { fieldsToUpdate } from './update-mask.ts';

/** The fields of an organization that an admin may change. */
export type OrganizationFields = { name: string; membersMayCreateProjects: boolean };

/**
 * Returns the fields that a request sets. Refuses with INVALID_FIELD if the name would become
 * empty.
 */
export function wantedOrganizationFields(
  given: OrganizationFields,
  mask: readonly string[] | undefined,
): Partial<OrganizationFields> {
  const { name, membersMayCreateProjects } = given;
  const fields = fieldsToUpdate(mask, {
    name: name !== '',
    members_may_create_projects: membersMayCreateProjects,
  });
  if (fields.has('name') && name === '') {
    const description = 'must have 1-64 characters';
    throw errors.invalidField([{ field: 'organization.name', description }]);
  }
  return {
    ...(fields.has('name') && { name }),
    ...(fields.has('members_may_create_projects') && { membersMayCreateProjects }),
  };
}

/**
 * Returns the fields that really change, with old and new values, by their names in the public API.
 */
export function organizationChanges(
  before: OrganizationFields,
  { name, membersMayCreateProjects }: Partial<OrganizationFields>,
): FieldChange[] {
  const changes: FieldChange[] = [];
  if (name !== undefined && name !== before.name) {
    changes.push({ field: 'name', from: before.name, to: name });
  }
  if (
    membersMayCreateProjects !== undefined &&
    membersMayCreateProjects !== before.membersMayCreateProjects
  ) {
    const from = String(before.membersMayCreateProjects);
    const to = String(membersMayCreateProjects);
    changes.push({ field: 'members_may_create_projects', from, to });
  }
  return changes;
}
