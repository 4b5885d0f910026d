import test from 'ava';
import { GuardCore } from '../core/guard-core.ts';
import type { GuardAction, GuardInput } from '../core/messages.ts';
import type { Permit } from '../core/permits.ts';
import type { GuardSettings } from '../core/settings.ts';
import { Bench, guardSettings, kindsOf, numbers, token } from './core-support.ts';

function warm(settings: Partial<GuardSettings> = {}): Bench {
  const bench = new Bench(settings);
  bench.startWithReadLease();
  bench.fill(bench.lookup());
  return bench;
}

function permitOf(actions: GuardAction[]): Permit {
  const answer = actions.find((action) => action.kind === 'answer');
  if (answer?.permit === undefined) throw new Error('no permit was given');
  return answer.permit;
}

test('under a read lease, a fact that was fetched once is answered from memory', (t) => {
  const bench = warm();
  t.like(bench.core.verifyToken(token, bench.now), {
    allowed: true,
    projectId: 'prj_1',
    organizationId: 'org_1',
  });
  t.is(bench.core.verifyToken(token, bench.now), bench.core.verifyToken(token, bench.now));
});

test('a lease alone grants nothing', (t) => {
  const bench = new Bench();
  bench.step({ kind: 'start' });
  const { requestId } = bench.last('acquire');
  const leaseNumbers = { leaseMs: 1_000, renewMs: 300, driftShare: 0.01 };
  bench.step({ kind: 'acquired', requestId, reply: { numbers: leaseNumbers } });
  t.false(bench.core.hasReadLease(bench.now));
});

test('a read lease counts from before the renewal was sent, and ends by either clock', (t) => {
  const late = warm();
  late.pass(300);
  late.step({ kind: 'tick' });
  late.pass(90);
  late.grant();
  late.pass(899);
  t.true(late.remembers);
  late.pass(2);
  t.false(late.remembers);

  const suspended = warm();
  suspended.now.wallMs += 991;
  t.false(suspended.remembers);

  const setBack = warm();
  setBack.now.wallMs -= 60_000;
  t.false(setBack.remembers);
});

test('an event ends its fact at once, and is acknowledged', (t) => {
  const bench = warm();
  const actions = bench.tokenRevoked(11);
  t.false(bench.remembers);
  t.is(bench.last('acknowledge').positions.token?.sequence, 11);
  t.deepEqual(kindsOf(actions), ['ended', 'acknowledge']);
});

test('an event that is received twice has no further effect', (t) => {
  const bench = warm();
  bench.tokenRevoked(11);
  bench.fill(bench.lookup());
  t.deepEqual(bench.tokenRevoked(11), []);
  t.true(bench.remembers);
});

test('a gap is read from the log before anything after it is acknowledged', (t) => {
  const bench = warm();
  t.deepEqual(kindsOf(bench.tokenRevoked(12)), ['readEvents']);
  t.is(bench.last('readEvents').afterSequence, 10);
  const { requestId } = bench.last('readEvents');
  const head = { incarnation: 'a', sequence: 12 };
  const page = { events: [{ sequence: 11, ends: [] }], head, isCompacted: false };
  const actions = bench.step({ kind: 'read', requestId, source: 'token', page });
  t.deepEqual(kindsOf(actions), ['ended', 'ended', 'acknowledge']);
  t.is(bench.core.positions().token?.sequence, 12);
  t.false(bench.remembers);
});

test('another incarnation of a log ends all facts of its source, including fact fetches in flight', (t) => {
  const bench = warm();
  const restart = () => {
    bench.step({
      kind: 'batch',
      source: 'project',
      head: { incarnation: 'b', sequence: 1 },
      events: [{ sequence: 1, ends: [] }],
    });
    const { requestId } = bench.last('readEvents');
    const head = { incarnation: 'b', sequence: 1 };
    const page = { events: [], head, isCompacted: false };
    bench.step({ kind: 'read', requestId, source: 'project', page });
    t.deepEqual(bench.core.positions().project, head);
  };
  const ends = [{ kind: 'project', name: 'prj_1' }] as const;
  bench.step({
    kind: 'batch',
    source: 'project',
    head: { incarnation: 'a', sequence: 11 },
    events: [{ sequence: 11, ends }],
  });
  const [fetch] = bench.lookup();
  restart();
  if (fetch?.kind !== 'fetchFact') return t.fail('no fact fetch was sent');
  t.is(fetch.ref.kind, 'project');
  t.deepEqual(kindsOf(bench.fetched(fetch.fetchId, fetch.ref)), ['answer']);
  t.false(bench.remembers);
});

test('a fact fetch that was sent before an invalidation is neither cached nor joined', (t) => {
  const bench = new Bench();
  bench.startWithReadLease();
  const [old] = bench.lookup();
  bench.tokenRevoked(11);
  const [young] = bench.lookup();
  if (old?.kind !== 'fetchFact' || young?.kind !== 'fetchFact')
    return t.fail('no fact fetch was sent');
  t.not(old.fetchId, young.fetchId);
  bench.fill(bench.fetched(old.fetchId, old.ref));
  t.false(bench.remembers);
  bench.fill(bench.fetched(young.fetchId, young.ref));
  t.true(bench.remembers);
});

test('under a read lease lookups share a fact fetch; without one each has its own, and nothing is cached', (t) => {
  const shared = new Bench();
  shared.startWithReadLease();
  t.deepEqual(kindsOf([...shared.lookup(), ...shared.lookup()]), ['fetchFact']);

  const alone = new Bench();
  alone.step({ kind: 'start' });
  const actions = [...alone.lookup(), ...alone.lookup()];
  t.deepEqual(kindsOf(actions), ['fetchFact', 'fetchFact']);
  t.deepEqual(alone.fill(actions).filter(({ kind }) => kind === 'answer').length, 2);
  t.is(alone.core.sizes().facts, 0);
});

test('without a read lease a mutation is refused', (t) => {
  const bench = warm();
  bench.pass(1_000);
  t.like(bench.lookup(true), [{ kind: 'unavailable', why: 'no-read-lease' }]);
});

test('an event is acknowledged when the permits that depend on the facts it ends are released', (t) => {
  const bench = warm();
  const permit = permitOf(bench.lookup(true));
  t.deepEqual(kindsOf(bench.tokenRevoked(11)), ['ended']);
  t.false(bench.remembers, 'the event is applied at once');
  t.true(bench.core.permitRemainingMs(permit, bench.now) > 0);
  const actions = bench.step({ kind: 'releasePermit', permit });
  t.deepEqual(kindsOf(actions), ['acknowledge']);
  t.is(bench.last('acknowledge').positions.token?.sequence, 11);
});

test('a permit ends at the latest with its read lease, and stays ended when a clock is set back', (t) => {
  const bench = warm();
  bench.pass(600);
  const permit = permitOf(bench.lookup(true));
  bench.now.wallMs += 400;
  t.false(bench.core.permitRemainingMs(permit, bench.now) > 0);
  bench.now.wallMs -= 400;
  t.false(bench.core.permitRemainingMs(permit, bench.now) > 0);
});

test('a permit that only a wall clock ends decides nothing more, and its commit is waited for', (t) => {
  for (const stepMs of [-2_000, 2_000]) {
    const released = warm();
    const permit = permitOf(released.lookup(true));
    t.deepEqual(kindsOf(released.tokenRevoked(11)), ['ended']);
    released.now.wallMs += stepMs;
    t.is(released.core.permitRemainingMs(permit, released.now), 0);
    t.false(kindsOf(released.step({ kind: 'tick' })).includes('acknowledge'));
    const actions = released.step({ kind: 'releasePermit', permit });
    t.true(kindsOf(actions).includes('acknowledge'));

    const over = warm({ permitMs: 5_000 });
    const unreleased = permitOf(over.lookup(true));
    over.now.wallMs += stepMs;
    over.tokenRevoked(11);
    over.pass(989);
    t.false(kindsOf(over.step({ kind: 'tick' })).includes('acknowledge'));
    over.pass(1);
    t.true(kindsOf(over.step({ kind: 'tick' })).includes('acknowledge'));
    t.is(over.core.permitRemainingMs(unreleased, over.now), 0);
  }
});

test('a permit that a wall clock has ended is not extended by a later read lease', (t) => {
  const bench = warm({ permitMs: 5_000 });
  const permit = permitOf(bench.lookup(true));
  bench.now.wallMs -= 2_000;
  bench.step({ kind: 'tick' });
  bench.pass(300);
  bench.step({ kind: 'tick' });
  bench.grant();
  t.true(bench.core.hasReadLease(bench.now));
  t.is(bench.core.permitRemainingMs(permit, bench.now), 0);
});

test('the time left of a permit is that of the clock that leaves less', (t) => {
  const bench = warm({ permitMs: 5_000 });
  const permit = permitOf(bench.lookup(true));
  // As on a suspended machine, whose monotonic clock stood still.
  bench.now.wallMs += 900;
  t.is(bench.core.permitRemainingMs(permit, bench.now), 90);
});

/** A permit of a key that expires after this time. */
function permitOfKey(bench: Bench, expiresMs: number): Permit {
  const limits = { scopes: ['*'], organizationIds: [], projectIds: [], disabled: false };
  const expireTime = new Date(bench.now.wallMs + expiresMs);
  const keyHash = '00'.repeat(32);
  bench.step({
    ...{ kind: 'lookup', lookupId: 100, wantsPermit: true },
    check: { kind: 'access', question: { keyHash: Buffer.from(keyHash, 'hex') }, keyHash },
  });
  const { fetchId } = bench.last('fetchFact');
  const value = { keyId: 'key_1', accountId: 'acc_1', ...limits, expireTime };
  return permitOf(bench.step({ kind: 'factFetched', fetchId, reply: { value } }));
}

test('a permit ends when its key expires, even in a later read lease', (t) => {
  const bench = warm();
  const permit = permitOfKey(bench, 100);
  bench.pass(99);
  bench.step({ kind: 'tick' });
  bench.grant();
  t.true(bench.core.permitRemainingMs(permit, bench.now) > 0);
  bench.pass(1);
  t.false(bench.core.permitRemainingMs(permit, bench.now) > 0);
});

test('a permit whose key has expired decides nothing, and is waited for until it is released', (t) => {
  const bench = warm();
  const permit = permitOfKey(bench, 100);
  t.deepEqual(kindsOf(bench.ended(11, { kind: 'key', name: 'key_1' })), ['ended']);
  bench.pass(100);
  t.false(bench.core.permitRemainingMs(permit, bench.now) > 0);
  t.is(bench.core.permitRemainingMs(permit, bench.now), 0);
  t.deepEqual(kindsOf(bench.step({ kind: 'tick' })), []);
  const actions = bench.step({ kind: 'releasePermit', permit });
  t.deepEqual(kindsOf(actions), ['acknowledge']);
  t.is(bench.last('acknowledge').positions.token?.sequence, 11);
});

test('a guard that is behind gets its read lease when it has caught up, counted from its renewal', (t) => {
  const bench = warm();
  bench.pass(300);
  bench.step({ kind: 'tick' });
  bench.pass(650);
  bench.behind({ token: { incarnation: 'a', sequence: 11 } });
  t.is(bench.last('readEvents').afterSequence, 10);
  bench.pass(45);
  t.false(bench.core.hasReadLease(bench.now), 'the previous read lease is over');
  bench.tokenRevoked(11);
  t.true(bench.core.hasReadLease(bench.now));
  bench.pass(294);
  t.true(bench.core.hasReadLease(bench.now));
  bench.pass(2);
  t.false(bench.core.hasReadLease(bench.now));
});

test('the next read lease extends a permit, unless a fact it depends on has ended', (t) => {
  const bench = warm({ permitMs: 5_000 });
  const good = permitOf(bench.lookup(true));
  const another = warm({ permitMs: 5_000 });
  const ending = permitOf(another.lookup(true));
  another.tokenRevoked(11);
  for (const each of [bench, another]) {
    each.pass(300);
    each.step({ kind: 'tick' });
    each.grant();
    each.pass(689);
  }
  t.true(bench.core.permitRemainingMs(good, bench.now) > 0);
  t.true(another.core.permitRemainingMs(ending, another.now) > 0);
  for (const each of [bench, another]) each.pass(2);
  t.true(bench.core.permitRemainingMs(good, bench.now) > 0);
  t.false(
    another.core.permitRemainingMs(ending, another.now) > 0,
    'the permit ends with the read lease under which it was taken',
  );
  bench.pass(300);
  t.false(bench.core.permitRemainingMs(good, bench.now) > 0);
});

test('a guard whose lease id is taken acquires another', (t) => {
  let ids = 0;
  const bench = new Bench({ newLeaseId: () => `lease-${++ids}` });
  bench.step({ kind: 'start' });
  const { requestId, leaseId } = bench.last('acquire');
  bench.step({ kind: 'acquired', requestId, reply: 'taken' });
  bench.pass(guardSettings.retryMs);
  bench.step({ kind: 'tick' });
  t.not(bench.last('acquire').leaseId, leaseId);
  t.is(bench.last('renew').leaseId, bench.last('acquire').leaseId);
});

test('a lost lease loses no facts', (t) => {
  const bench = warm();
  bench.pass(300);
  bench.step({ kind: 'tick' });
  const { requestId } = bench.last('renew');
  bench.step({ kind: 'renewed', requestId, reply: { result: 'lost' } });
  t.false(bench.remembers);
  bench.grant();
  t.true(bench.remembers);
});

test('a reply that the lease is lost is ignored if a later renewal found the lease', (t) => {
  const bench = warm();
  bench.pass(300);
  bench.step({ kind: 'tick' });
  const late = bench.last('renew').requestId;
  bench.pass(100);
  bench.step({ kind: 'tick' });
  bench.grant();
  bench.step({ kind: 'renewed', requestId: late, reply: { result: 'lost' } });
  t.true(bench.remembers);
});

test('a drained guard releases its lease when its permits have ended, and answers nothing', (t) => {
  const bench = warm();
  const permit = permitOf(bench.lookup(true));
  t.deepEqual(bench.step({ kind: 'drain' }), []);
  t.like(bench.lookup(true), [{ kind: 'unavailable' }]);
  t.deepEqual(kindsOf(bench.step({ kind: 'releasePermit', permit })), ['release']);
  t.false(bench.remembers);
});

test('beyond the maximum of fact fetches, lookups fail', (t) => {
  const bench = new Bench({ fetchesMax: 1 });
  bench.step({ kind: 'start' });
  bench.lookup();
  t.like(bench.lookup(), [{ kind: 'unavailable', why: 'too-many-fetches' }]);
});

test('a registry that does not respond gets requests at growing intervals', (t) => {
  const bench = new Bench({ requestMs: 100 });
  bench.step({ kind: 'start' });
  for (let passedMs = 0; passedMs < 1_000; passedMs += 10) {
    bench.pass(10);
    bench.step({ kind: 'tick' });
  }
  const renewals = bench.sent.filter(({ kind }) => kind === 'renew');
  t.is(renewals.length, 4, 'after 0, 100, 300 and 700 ms');
  bench.grant();
  bench.pass(numbers.renewMs);
  const next = bench.step({ kind: 'tick' });
  t.true(kindsOf(next).includes('renew'), 'at the usual interval once it responds');
});

test('a log can be followed even if it always takes longer to answer than the first timeout', (t) => {
  const bench = new Bench({ requestMs: 100 });
  const head = { incarnation: 'a', sequence: 10 };
  const page = { events: [], head, isCompacted: false };
  const due: { atMs: number; input: GuardInput }[] = [];
  const collect = (actions: GuardAction[]) => {
    for (const action of actions) {
      if (action.kind !== 'readEvents') continue;
      const { requestId, source } = action;
      const input = { kind: 'read', requestId, source, page } as const;
      due.push({ atMs: bench.now.monotonicMs + 250, input });
    }
  };
  collect(bench.step({ kind: 'start' }));
  for (let passedMs = 0; passedMs < 2_000; passedMs += 10) {
    bench.pass(10);
    collect(bench.step({ kind: 'tick' }));
    for (; due[0] !== undefined && due[0].atMs <= bench.now.monotonicMs; due.shift()) {
      collect(bench.step(due[0].input));
    }
  }
  t.deepEqual(bench.core.positions(), { org: head, project: head, token: head });
});

test('settings that cannot work are rejected', (t) => {
  t.throws(() => new GuardCore({ ...guardSettings, fetchesMax: 0 }), { instanceOf: RangeError });
  t.throws(() => new GuardCore({ ...guardSettings, permitMs: Number.NaN }), {
    instanceOf: RangeError,
  });
});
