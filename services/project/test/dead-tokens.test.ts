import { newId } from '@silo/tokens/ids.ts';
import { hashOf, newProjectToken } from '@silo/tokens/secrets.ts';
import test from 'ava';
import { RefusedTokens } from '../handlers/shared/refused-tokens.ts';
import { reportCounted } from '../loops/report-dead-tokens.ts';
import { addUses, type DeadTokenUse, keptText, recentUses } from '../rules/dead-tokens.ts';
import { testWorld } from './support.ts';

const now = new Date('2026-11-29T12:00:00.000Z');
const at = (seconds: number) => new Date(now.getTime() + seconds * 1_000);

function use(fields: Partial<DeadTokenUse> = {}): DeadTokenUse {
  const said = { fingerprint: 'aaaaaaaaaaaa', library: 'web', origin: 'https://a.example.com' };
  return { ...said, count: 1, firstTime: now, lastTime: now, ...fields };
}

test('uses of the same token, library and origin are added up', (t) => {
  const later = use({ count: 2, firstTime: at(1), lastTime: at(5) });
  t.deepEqual(addUses([use()], [later, use({ library: 'go' })], now), [
    use({ count: 3, lastTime: at(5) }),
    use({ library: 'go' }),
  ]);
});

test('a use of 30 days ago is not reported any more', (t) => {
  const old = use({ library: 'old', lastTime: at(-30 * 86_400) });
  const recent = use({ library: 'recent', lastTime: at(-30 * 86_400 + 1) });
  t.deepEqual(recentUses([recent, use(), old], now), [use(), recent]);
  t.deepEqual(addUses([old], [use()], now), [use()]);
});

test('where 100 uses are listed, further ones of a token are counted together', (t) => {
  const listed = Array.from({ length: 100 }, (_, index) => use({ library: `lib ${index}` }));
  const more = Array.from({ length: 500 }, (_, index) =>
    use({
      library: `more ${index}`,
      fingerprint: index % 2 === 0 ? 'aaaaaaaaaaaa' : 'bbbbbbbbbbbb',
    }),
  );
  const uses = addUses(listed, [...more, use({ library: 'lib 7' })], now);
  t.is(uses.length, 102);
  t.like(
    uses.find(({ library }) => library === 'lib 7'),
    { count: 2 },
  );
  t.deepEqual(
    uses.filter(({ library }) => library === '').map(({ count, origin }) => [count, origin]),
    [
      [250, ''],
      [250, ''],
    ],
  );
});

test('what a client says of itself is kept short and without secrets', (t) => {
  const token = newProjectToken();
  t.false(keptText(`agent ${token}`).includes(token));
  t.false(keptText(`${'x'.repeat(180)} ${token}`).includes('phc_'));
  t.is(keptText('x'.repeat(100_000)).length, 200);
  t.true(keptText('\ud800'.repeat(3)).isWellFormed());
});

test('a process holds 1,000 different uses, and counts those it holds', (t) => {
  const tokens = new RefusedTokens({ now: () => now, monotonicMs: () => 0 });
  for (let round = 0; round < 2; round++) {
    for (let index = 0; index < 1_500; index++) {
      tokens.record({ tokenHash: hashOf('token'), library: `lib ${index}`, origin: '' });
    }
  }
  const taken = tokens.take();
  t.is(taken.length, 1_000);
  t.true(taken.every(({ use: { count } }) => count === 2));
  t.deepEqual(tokens.take(), []);
});

test('uses are stored with their project, those of no project not at all', async (t) => {
  const world = await testWorld(t);
  const owner = world.key();
  const { projectId } = await world.organization(owner);
  const signal = AbortSignal.timeout(30_000);
  const clock = { now: () => now, monotonicMs: () => 0 };
  const [known, purged, unknown] = ['known', 'purged', 'unknown'].map((name) => hashOf(name));
  const projectOf = new Map([
    [known, projectId],
    [purged, newId('prj')],
  ]);
  const directory = {
    findTokenProjects: async ({ tokenHashes }: { tokenHashes: Uint8Array[] }) => ({
      tokens: [...projectOf].flatMap(([tokenHash, project]) =>
        tokenHash !== undefined && tokenHashes.some((each) => tokenHash.equals(each))
          ? [{ tokenHash, projectId: project }]
          : [],
      ),
    }),
  };
  const replicas = [new RefusedTokens(clock), new RefusedTokens(clock)];
  for (const refusedTokens of replicas) {
    for (const tokenHash of [known, known, purged, unknown]) {
      if (tokenHash) refusedTokens.record({ tokenHash, library: 'web', origin: '' });
    }
  }
  const { deadTokens } = world;
  const report = (refusedTokens: RefusedTokens) =>
    reportCounted({ refusedTokens, deadTokens, directory, clock } as never, signal);
  await Promise.all(replicas.map(report));
  const uses = await deadTokens.list(projectId, signal);
  t.deepEqual(
    uses.map(({ library, count }) => [library, count]),
    [['web', 4]],
  );
  t.is(await world.db.collection('dead_token_uses').countDocuments(), 1);
  await deadTokens.purge(projectId, signal);
  t.deepEqual(await deadTokens.list(projectId, signal), []);
});
