/**
 * The id of an organization that does not exist. It is fetched in place of the organization of a
 * project or move that does not exist either, so that the check takes as many reads as for one that
 * exists and is hidden from the caller. No decision depends on the result. `which` distinguishes
 * two of them.
 */
export function decoyOrganizationId(id: string, which: 'xx' | 'xy' = 'xx'): string {
  const sortable = id.slice(-sortableLength);
  return `org_${which}_${/^[0-9a-z]{26}$/.test(sortable) ? sortable : '0'.repeat(sortableLength)}`;
}

const sortableLength = 26;
