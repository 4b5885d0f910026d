import { isKnownLevel } from '@silo/access/levels.ts';
import type { Membership } from '@silo/protos/gen/silo/org/internal/v1/directory_service.ts';
import type { Dependencies } from '../dependencies.ts';

/** An account's memberships with a known level, and its current project. */
export type AccountMemberships = { currentProjectId: string; memberships: Membership[] };

/**
 * Reads the memberships from org, page by page. Refuses with ACCOUNT_NOT_FOUND,
 * DEPENDENCY_UNAVAILABLE.
 */
export async function readMemberships(
  { org }: Dependencies['peers'],
  accountId: string,
  signal: AbortSignal,
): Promise<AccountMemberships> {
  const memberships: Membership[] = [];
  let pageToken = '';
  for (;;) {
    const page = await org.directory.getAccountMemberships({ accountId, pageToken }, { signal });
    memberships.push(...page.memberships.filter(({ level }) => isKnownLevel(level)));
    pageToken = page.nextPageToken;
    if (pageToken === '') return { currentProjectId: page.currentProjectId, memberships };
  }
}
