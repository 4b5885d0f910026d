/** Tests that a hidden resource and an absent one are checked by the same reads. */
import { isDeepStrictEqual } from 'node:util';
import { serviceNames } from '@silo/service/config.ts';
import type { ExecutionContext } from 'ava';
import type { PublicApi, SignedUp } from '../harness/clients.ts';
import type { HiddenThing } from '../harness/id-requests.ts';
import type { TestSilo } from '../harness/silo.ts';
import { received } from './same-refusal.ts';

/** The caller, and a function that lets the owner use the hidden thing. */
type Caller = { api: PublicApi; own: SignedUp; use?: () => Promise<void> };

type Databases = Pick<TestSilo, 'mongo' | 'databasePrefix'>;

/**
 * Collections that calls read and background loops do not: facts, and the things that requests
 * name.
 */
const readCollections = [
  ...['accounts', 'organizations', 'memberships', 'invites'],
  ...['projects', 'moves', 'key_secrets', 'api_keys'],
  ...['event_deletions', 'project_migrations'],
];

/** The reads of one call in all databases, in any order, from MongoDB's profiler. */
async function readsOf(
  silos: readonly Databases[],
  call: () => Promise<unknown>,
): Promise<string[]> {
  const databases = silos.flatMap(({ mongo, databasePrefix }) =>
    serviceNames.map((name) => mongo.db(`${databasePrefix}_${name}`)),
  );
  const filter = {
    op: 'query',
    ns: { $in: databases.flatMap(namespacesOf) },
    // Excludes the search for things to purge.
    'command.filter.purgeTime': { $exists: false },
    // Excludes reads of other loops.
    'command.comment': { $exists: false },
  };
  for (const db of databases) await db.command({ profile: 1, filter });
  await call();
  const reads: string[] = [];
  for (const db of databases) {
    await db.command({ profile: 0, filter: 'unset' });
    const profiled = await db.collection('system.profile').find().toArray();
    reads.push(...profiled.map(({ ns }) => ns));
    await db.dropCollection('system.profile');
  }
  return reads.sort();
}

function namespacesOf({ databaseName }: { databaseName: string }): string[] {
  return readCollections.map((collection) => `${databaseName}.${collection}`);
}

/**
 * Demands that requests about a hidden and an absent thing cost the same reads, and at least one.
 */
export async function sameReads(
  t: ExecutionContext<unknown>,
  { requests, hidden, absent }: HiddenThing,
  { api, own, use = async () => {} }: Caller,
  silos: readonly Databases[],
): Promise<void> {
  for (const [path, request] of Object.entries(requests)) {
    await use();
    // So that the caller's own key is remembered for both.
    const first = absent();
    await received(request(api, first, own), first);
    const compare = async () => {
      const none = absent();
      return {
        ofHidden: await readsOf(silos, () => received(request(api, hidden, own), hidden)),
        ofAbsent: await readsOf(silos, () => received(request(api, none, own), none)),
      };
    };
    let { ofHidden, ofAbsent } = await compare();
    // Reads of a repeated call, or of a guard that had to read again on a busy machine, do not
    // occur a second time.
    for (let again = 0; again < 3 && !isDeepStrictEqual(ofHidden, ofAbsent); again++) {
      await use();
      ({ ofHidden, ofAbsent } = await compare());
    }
    t.deepEqual(ofHidden, ofAbsent, path);
    t.true(ofAbsent.length > 0, path);
  }
}
