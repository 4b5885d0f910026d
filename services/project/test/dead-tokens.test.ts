import { systemClock } from '@silo/runtime/clock.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import { newId } from '@silo/tokens/ids.ts';
import { hashOf, newProjectToken } from '@silo/tokens/secrets.ts';
import test from 'ava';
import { DeadTokenCounter } from '../capture/dead-token-counter.ts';
import { reportCounted } from '../loops/report-dead-tokens.ts';
import { addUses, type DeadTokenUse, keptText, recentUses } from '../rules/dead-tokens.ts';
import { testWorld } from './support.ts';

// Recent, because MongoDB removes old uses.
const now = new Date();
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

test('more than 100 uses give each token the same number of places; further uses are counted together', (t) => {
  const of = (fingerprint: string, count: number) =>
    Array.from({ length: count }, (_, index) => use({ fingerprint, library: `lib ${index}` }));
  const [a, b, c] = ['aaaaaaaaaaaa', 'bbbbbbbbbbbb', 'cccccccccccc'] as const;
  const uses = addUses(of(a, 100), [...of(a, 300), ...of(b, 200), ...of(c, 3)], now);
  const placesOf = (fingerprint: string) => {
    const those = uses.filter((each) => each.fingerprint === fingerprint);
    const others = those.filter(({ library, origin }) => library === '' && origin === '');
    const count = those.reduce((sum, each) => sum + each.count, 0);
    return { count, named: those.length - others.length, others: others.length };
  };
  t.deepEqual(placesOf(a), { count: 400, named: 49, others: 1 });
  t.deepEqual(placesOf(b), { count: 200, named: 48, others: 1 });
  t.deepEqual(placesOf(c), { count: 3, named: 3, others: 0 });
});

test('the most frequent use of a token keeps its place despite invented names', (t) => {
  const madeUp = (round: number) =>
    Array.from({ length: 150 }, (_, index) => use({ library: `made up ${round} ${index}` }));
  let uses = addUses([], madeUp(0), now);
  for (let round = 1; round < 5; round++) {
    uses = addUses(uses, [...madeUp(round), use({ library: 'posthog-js', count: 2 })], at(round));
  }
  t.is(uses.length, 101);
  t.like(
    uses.find(({ library }) => library === 'posthog-js'),
    { count: 8 },
  );
});

test('the 100 most used tokens are kept, and further ones are counted as one', (t) => {
  let uses: DeadTokenUse[] = [];
  const often = use({ fingerprint: 'often', library: 'posthog-js', count: 10 });
  for (let day = 0; day < 3; day++) {
    const madeUp = Array.from({ length: 500 }, (_, index) =>
      use({ fingerprint: `${day}-${index}`, ...(index % 2 === 0 && { forwardedRegion: 'eu' }) }),
    );
    uses = addUses(uses, [...madeUp, often], at(day));
  }
  const tokens = new Set(uses.map(({ fingerprint }) => fingerprint));
  t.is(tokens.size, 101);
  t.true(uses.length <= 202, `${uses.length} uses`);
  t.is(sumOf(uses), 3 * 510);
  t.is(sumOf(uses.filter(({ fingerprint }) => fingerprint === 'often')), 30);
  const others = uses.filter(({ fingerprint }) => fingerprint === '');
  t.deepEqual(
    others.map(({ library, origin }) => library + origin),
    ['', ''],
  );
  t.deepEqual(others.map(({ forwardedRegion = '' }) => forwardedRegion).sort(), ['', 'eu']);
});

function sumOf(uses: readonly DeadTokenUse[]): number {
  return uses.reduce((sum, { count }) => sum + count, 0);
}

test('names that a client sends are stored short and without secrets', (t) => {
  const token = newProjectToken();
  t.false(keptText(`agent ${token}`).includes(token));
  t.false(keptText(`${'x'.repeat(180)} ${token}`).includes('phc_'));
  t.false(keptText(`nats://${'x'.repeat(1_950)}@ ${token}`).includes('phc_'));
  t.is(keptText('x'.repeat(100_000)).length, 200);
  t.true(keptText(`${'x'.repeat(199)}\u{1f600}`).isWellFormed());
  t.true(keptText('\ud800'.repeat(3)).isWellFormed());
});

const signalOfTest = AbortSignal.timeout(600_000);

function newCounter(clock = { now: () => now, monotonicMs: () => 0 }): DeadTokenCounter {
  return new DeadTokenCounter(clock);
}

test('a process holds at most 1,000 different uses, and continues to count these', (t) => {
  const tokens = newCounter();
  for (let round = 0; round < 2; round++) {
    for (let index = 0; index < 1_500; index++) {
      const tokenHash = hashOf(`token ${index % 50}`);
      tokens.record({ tokenHash, library: `lib ${index}`, origin: '' });
    }
  }
  const taken = tokens.take();
  t.is(taken.length, 1_000);
  t.true(taken.every(({ use: { count } }) => count === 2));
  t.deepEqual(tokens.take(), []);
});

test('invented names of one token do not displace other tokens', (t) => {
  const tokens = newCounter();
  for (let turn = 0; turn < 2; turn++) {
    for (let index = 0; index < 5_000; index++) {
      const madeUp = { library: `lib ${index}`, origin: `https://${index}.example.com` };
      tokens.record({ tokenHash: hashOf('public'), ...madeUp });
    }
    tokens.record({ tokenHash: hashOf('other'), library: 'posthog-js', origin: '' });
    const taken = tokens.take();
    t.is(taken.length, 102);
    t.like(taken.at(-2)?.use, { library: '', origin: '', count: 4_900 });
    t.like(taken.at(-1)?.use, { library: 'posthog-js', count: 1 });
  }
});

test('a token without a project takes a place at most once a minute', (t) => {
  let monotonicMs = 0;
  const tokens = newCounter({ now: () => now, monotonicMs: () => monotonicMs });
  const madeUp = { tokenHash: hashOf('made up'), library: 'x', origin: '' };
  tokens.record(madeUp);
  t.is(tokens.take().length, 1);
  tokens.ignore([hashOf('made up')]);
  monotonicMs = 59_999;
  tokens.record(madeUp);
  t.deepEqual(tokens.take(), []);
  // Another region may know it.
  tokens.record({ ...madeUp, projectId: 'prj_1' });
  t.is(tokens.take().length, 1);
  monotonicMs = 60_000;
  tokens.record(madeUp);
  t.is(tokens.take().length, 1);
});

/** A directory in which the token `name` belongs to the project `name`. */
function directoryOf(...names: string[]) {
  const tokens = names.map((name) => ({ tokenHash: hashOf(name), projectId: name }));
  return { findTokenProjects: async () => ({ tokens }) };
}

test('uses that cannot be stored are kept for the next turn; those of other projects are stored', async (t) => {
  const names = Array.from({ length: 20 }, (_, index) => `project ${index}`);
  const tokens = newCounter();
  const record = () => {
    for (const name of names) tokens.record({ tokenHash: hashOf(name), library: 'go', origin: '' });
  };
  let isBroken = true;
  const stored = new Map<string, number>();
  let adding = 0;
  let addingMost = 0;
  const add = async (projectId: string, uses: readonly DeadTokenUse[]) => {
    addingMost = Math.max(addingMost, ++adding);
    await Promise.resolve();
    adding--;
    if (isBroken && projectId === 'project 3') throw new Error('too large');
    stored.set(projectId, (stored.get(projectId) ?? 0) + sumOf(uses));
  };
  const uses = { deadTokenCounter: tokens, deadTokens: { add }, directory: directoryOf(...names) };
  const report = () =>
    reportCounted({ ...uses, clock: systemClock, log: silentLogger() }, signalOfTest);
  record();
  await t.throwsAsync(report, { message: 'too large' });
  t.is(stored.size, 19);
  t.is(addingMost, 8);
  record();
  isBroken = false;
  await report();
  t.deepEqual(
    [...stored.values()],
    Array.from({ length: 20 }, () => 2),
  );
});

test('uses are kept for the next turn if the token service does not answer', async (t) => {
  const tokens = newCounter();
  tokens.record({ tokenHash: hashOf('project'), library: 'go', origin: '' });
  const findTokenProjects = async () => {
    throw new Error('no response');
  };
  const uses = { deadTokenCounter: tokens, deadTokens: { add: async () => {} } };
  const rest = { directory: { findTokenProjects }, clock: systemClock, log: silentLogger() };
  await t.throwsAsync(() => reportCounted({ ...uses, ...rest }, signalOfTest));
  t.is(tokens.take().length, 1);
});

test('uses that are put back take at most half of the places', (t) => {
  const tokens = newCounter();
  const record = (round: string) => {
    for (let index = 0; index < 1_000; index++) {
      tokens.record({ tokenHash: hashOf(`${round} ${index}`), library: 'go', origin: '' });
    }
  };
  record('first');
  const taken = tokens.take();
  tokens.putBack(taken);
  t.is(tokens.take().length, 500);
  record('first');
  tokens.putBack(taken);
  t.true(tokens.take().every(({ use: { count } }) => count === 2));
});

test('uses are stored with their project, even if another region has named it, and dropped without one', async (t) => {
  const world = await testWorld(t);
  const owner = world.key();
  const { projectId } = await world.organization(owner);
  const signal = AbortSignal.timeout(600_000);
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
  const replicas = [newCounter(clock), newCounter(clock)];
  for (const each of replicas) {
    for (const tokenHash of [known, known, purged, unknown]) {
      if (tokenHash) each.record({ tokenHash, library: 'web', origin: '' });
    }
  }
  const { deadTokens } = world;
  const report = (counted: DeadTokenCounter) =>
    reportCounted({ deadTokenCounter: counted, deadTokens, directory, clock } as never, signal);
  await Promise.all(replicas.map(report));
  for (const [index, each] of replicas.entries()) {
    each.record({ tokenHash: unknown ?? hashOf(''), library: 'web', origin: '' });
    t.deepEqual(each.take(), [], `replica ${index} ignores tokens without a project`);
  }
  const uses = await deadTokens.list(projectId, signal);
  t.deepEqual(
    uses.map(({ library, count }) => [library, count]),
    [['web', 4]],
  );
  t.is(await world.db.collection('dead_token_uses').countDocuments(), 1);
  const [first] = replicas;
  // Regenerated in the region to which the project has migrated.
  const elsewhere = { tokenHash: hashOf('elsewhere'), origin: '', forwardedRegion: 'eu' };
  first?.record({ ...elsewhere, projectId, library: 'go' });
  if (first) await report(first);
  t.like(
    (await deadTokens.list(projectId, signal)).find(({ library }) => library === 'go'),
    { count: 1, forwardedRegion: 'eu' },
  );
  await deadTokens.purge(projectId, signal);
  t.deepEqual(await deadTokens.list(projectId, signal), []);
});
