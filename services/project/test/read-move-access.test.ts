import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { LiveKey } from '@silo/protos/gen/silo/token/internal/v1/directory_service.ts';
import test from 'ava';
import { createReadMoveAccess } from '../handlers/shared/read-move-access.ts';

const move = {
  ...{ sourceId: 'org_us_1', destinationId: 'org_us_2', withNames: false },
  projectIds: ['prj_1'],
};
const signal = new AbortController().signal;

/** Accounts with a key each, and a reader that records its requests for keys. */
function directories(people: Set<string>) {
  const requested: (readonly string[])[] = [];
  const member = (accountId: string) => {
    const levels = { firstLevel: Level.LEVEL_MEMBER, secondLevel: Level.LEVEL_UNSPECIFIED };
    return { accountId, displayName: '', ...levels };
  };
  const keyOf = (accountId: string): LiveKey => {
    const projectIds = accountId === 'eve' ? ['prj_1', 'prj_2'] : [];
    const rest = { scopes: ['*'], organizationIds: [], projectIds };
    return { keyId: `key of ${accountId}`, accountId, name: '', ...rest };
  };
  const read = createReadMoveAccess({
    org: {
      directory: {
        listMembersOfTwo: async function* () {
          yield { members: [...people].map(member) };
        },
        describeOrganization: async () => ({ name: '' }),
        getAccountMemberships: async () => ({
          currentProjectId: '',
          memberships: [],
          nextPageToken: '',
        }),
      },
    },
    token: {
      directory: {
        listLiveKeys: async function* ({ accountIds }) {
          requested.push(accountIds);
          yield { keys: accountIds.map(keyOf) };
        },
      },
    },
  });
  const keys = async (ends = move) =>
    (await read(ends, signal)).keys.map(({ accountId }) => accountId).sort();
  return { requested, keys, read };
}

test('the members at the last read are only a hint: they decide which keys are read, not the result', async (t) => {
  const people = new Set(['ada', 'bob']);
  const { requested, keys } = directories(people);
  t.deepEqual(await keys(), ['ada', 'bob']);
  t.deepEqual(requested.splice(0), [['ada', 'bob']]);
  people.delete('ada');
  people.add('cem');
  t.deepEqual(await keys(), ['bob', 'cem'], 'new members are returned, those who left are not');
  t.deepEqual(requested.splice(0), [['ada', 'bob'], ['cem']]);
  const back = { ...move, sourceId: move.destinationId, destinationId: move.sourceId };
  t.deepEqual(await keys(back), ['bob', 'cem']);
  t.deepEqual(requested, [['bob', 'cem']], 'the reverse move has the same people');
});

test('only the parts of a key that matter for the move are kept', async (t) => {
  const { read } = directories(new Set(['eve']));
  const { keys } = await read(move, signal);
  t.deepEqual(
    keys.map(({ projectIds }) => projectIds),
    [['prj_1']],
  );
});
