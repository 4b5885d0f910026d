import type { LiveKey } from '@silo/protos/gen/silo/token/internal/v1/directory_service.ts';
import { forgetOldest } from '@silo/runtime/forget-oldest.ts';
import type { Peers } from '@silo/service/peers.ts';
import { type Ends, keyInMove, type MoveAccess, type Person } from '../../rules/move-access.ts';

/**
 * Reads the present members of both organizations of a move, and their live keys that may reach the
 * projects. Keeps the part of each key that `keyInMove` returns.
 */
export type ReadMoveAccess = (
  move: Ends & { withNames: boolean },
  signal: AbortSignal,
) => Promise<MoveAccess>;

/** Maximum number of accounts in one call of ListLiveKeys, and in one guess. */
const accountsAtOnce = 5_000;
const guessesMax = 100;

type Directories = {
  org: Pick<Peers['org'], 'directory'>;
  token: { directory: Pick<Peers['token']['directory'], 'listLiveKeys'> };
};

/** Creates the reader of one process. */
export function createReadMoveAccess({ org, token }: Directories): ReadMoveAccess {
  /**
   * The members at the last read, for example by a preview before its move: their keys can be read
   * before the present members are known. A guess saves time; it never decides the result.
   */
  const guesses = new Map<string, readonly string[]>();

  const listPeople = async (move: Parameters<ReadMoveAccess>[0], signal: AbortSignal) => {
    const { sourceId, destinationId, withNames } = move;
    const two = { firstOrganizationId: sourceId, secondOrganizationId: destinationId, withNames };
    const people: Person[] = [];
    for await (const { members } of org.directory.listMembersOfTwo(two, { signal })) {
      for (const { accountId, displayName, firstLevel, secondLevel } of members) {
        const levels = { sourceLevel: firstLevel, destinationLevel: secondLevel };
        people.push({ accountId, displayName, ...levels });
      }
    }
    return people;
  };

  const listKeys = async (move: Ends, accountIds: readonly string[], signal: AbortSignal) => {
    const keys: LiveKey[] = [];
    for (let first = 0; first < accountIds.length; first += accountsAtOnce) {
      const some = { accountIds: accountIds.slice(first, first + accountsAtOnce) };
      for await (const page of token.directory.listLiveKeys(some, { signal })) {
        keys.push(...page.keys.flatMap((key) => keyInMove(move, key) ?? []));
      }
    }
    return keys;
  };

  const remember = (ends: string, accountIds: readonly string[]) => {
    guesses.delete(ends);
    if (accountIds.length <= accountsAtOnce) guesses.set(ends, accountIds);
    forgetOldest(guesses, guessesMax);
  };

  return async (move, signal) => {
    const ends = [move.sourceId, move.destinationId].sort().join(' ');
    const guess = guesses.get(ends) ?? [];
    const [people, guessed] = await Promise.all([
      listPeople(move, signal),
      listKeys(move, guess, signal),
    ]);
    const accountIds = people.map(({ accountId }) => accountId);
    const known = new Set(guess);
    const others = accountIds.filter((id) => !known.has(id));
    const keys = [...guessed, ...(await listKeys(move, others, signal))];
    remember(ends, accountIds);
    const present = new Set(accountIds);
    return { people, keys: keys.filter(({ accountId }) => present.has(accountId)) };
  };
}
