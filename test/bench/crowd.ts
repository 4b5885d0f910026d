import type { ServiceName } from '@silo/service/config.ts';
import { newId } from '@silo/tokens/ids.ts';
import type { Document } from 'mongodb';
import type { Live } from './live.ts';
import type { Tenant } from './tenant.ts';

/**
 * Adds `members` members to each of the tenant's two organizations, half of them to both, each with
 * an unrestricted key and one that is restricted to the first organization. Writes copies of
 * existing documents directly into the store, because hundreds of sign-ups would take minutes.
 */
export async function addMembers(
  live: Live,
  { accountId, organizationIds }: Tenant,
  members: number,
): Promise<void> {
  const [first, second] = organizationIds;
  const account = await live.find('org', 'accounts', { _id: accountId });
  const key = await live.find('token', 'api_keys', { accountId });
  const memberships = await Promise.all(
    organizationIds.map((organizationId) =>
      live.find('org', 'memberships', { accountId, organizationId }),
    ),
  );
  const accounts: Document[] = [];
  const joined: Document[] = [];
  const keys: Document[] = [];
  // Half are in both, and a quarter of all in each alone.
  for (let index = 0; index < members * 1.5; index++) {
    const id = newId('acc');
    const comparableEmail = `${id}@example.com`;
    accounts.push({ ...account, _id: id, email: comparableEmail, comparableEmail });
    for (const [place, membership] of memberships.entries()) {
      if (index % 3 === 1 - place) continue;
      const { organizationId } = membership;
      joined.push({ ...membership, _id: `${id}/${organizationId}`, accountId: id });
    }
    for (const restricted of [[], [first]]) {
      keys.push({ ...key, _id: newId('key'), accountId: id, organizationIds: restricted });
    }
  }
  await insert(live, 'org', 'accounts', accounts);
  await insert(live, 'org', 'memberships', joined);
  await insert(live, 'token', 'api_keys', keys);
  const organizations = live.collection<{ _id: string; memberCount: number }>(
    'org',
    'organizations',
  );
  for (const _id of [first, second]) {
    await organizations.updateOne({ _id }, { $inc: { memberCount: members } });
  }
}

async function insert(
  live: Live,
  service: ServiceName,
  name: string,
  documents: Document[],
): Promise<void> {
  await live.collection<Document>(service, name).insertMany(documents);
}
