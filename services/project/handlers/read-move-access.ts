import type { LiveKey } from '@silo/protos/gen/silo/token/internal/v1/directory_service.ts';
import type { MoveAccess, Person } from '../rules/move-access.ts';
import type { Dependencies } from './dependencies.ts';

/** As many as ListLiveKeys takes. */
const accountsAtOnce = 5_000;

/** Reads, as of now, everybody in either organization of a move, and all their live keys. */
export async function readMoveAccess(
  { peers }: Pick<Dependencies, 'peers'>,
  move: { sourceId: string; destinationId: string; withNames: boolean },
  signal: AbortSignal,
): Promise<MoveAccess> {
  const { sourceId, destinationId, withNames } = move;
  const people: Person[] = [];
  const two = { firstOrganizationId: sourceId, secondOrganizationId: destinationId, withNames };
  for await (const { members } of peers.org.directory.listMembersOfTwo(two, { signal })) {
    for (const { accountId, displayName, firstLevel, secondLevel } of members) {
      const levels = { sourceLevel: firstLevel, destinationLevel: secondLevel };
      people.push({ accountId, displayName, ...levels });
    }
  }
  const keys: LiveKey[] = [];
  for (let first = 0; first < people.length; first += accountsAtOnce) {
    const some = people.slice(first, first + accountsAtOnce);
    const accountIds = some.map(({ accountId }) => accountId);
    for await (const page of peers.token.directory.listLiveKeys({ accountIds }, { signal })) {
      keys.push(...page.keys);
    }
  }
  return { people, keys };
}
