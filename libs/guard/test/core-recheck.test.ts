import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import test from 'ava';
import { membershipId } from '../core/facts.ts';
import type { AccessCheck } from '../core/lookup.ts';
import type { GuardAction } from '../core/messages.ts';
import type { GuardSettings } from '../core/settings.ts';
import { Bench, kindsOf } from './core-support.ts';

const keyHash = 'ab'.repeat(32);
const key = {
  ...{ keyId: 'key_1', accountId: 'acc_1', scopes: ['*'], organizationIds: [], projectIds: [] },
  ...{ expireTime: undefined, disabled: false },
};

const check: AccessCheck = {
  kind: 'access',
  keyHash,
  question: {
    keyHash: Buffer.from(keyHash, 'hex'),
    organizationId: 'org_1',
    level: Level.LEVEL_ADMIN,
  },
};

/** A guard under a read lease, and owners whose answers may change. */
class Owners {
  readonly bench: Bench;
  readonly facts = new Map<string, unknown>([
    [keyHash, key],
    [membershipId('acc_1', 'org_1'), Level.LEVEL_MEMBER],
    ['org_1', { membersMayCreateProjects: true }],
  ]);
  fetches = 0;
  #lookupId = 0;

  constructor(settings: Partial<GuardSettings> = {}) {
    this.bench = new Bench(settings);
    this.bench.startWithReadLease();
  }

  get recalled() {
    return this.bench.core.recall(check, this.bench.now);
  }

  begin(wantsPermit = false): GuardAction[] {
    const lookupId = ++this.#lookupId;
    return this.bench.step({ kind: 'lookup', lookupId, check, wantsPermit });
  }

  /** Answers fact fetches until there is an answer. */
  check(wantsPermit = false): Extract<GuardAction, { kind: 'answer' }> {
    const waiting = this.begin(wantsPermit);
    for (let action = waiting.shift(); action !== undefined; action = waiting.shift()) {
      if (action.kind === 'answer') return action;
      if (action.kind === 'fetchFact') waiting.push(...this.fill(action));
    }
    throw new Error('there was no answer');
  }

  fill({ fetchId, ref }: Extract<GuardAction, { kind: 'fetchFact' }>): GuardAction[] {
    this.fetches++;
    const value = this.facts.get(ref.id) as never;
    return this.bench.step({ kind: 'factFetched', fetchId, reply: { value } });
  }

  grant(): void {
    this.facts.set(membershipId('acc_1', 'org_1'), Level.LEVEL_OWNER);
  }
}

for (const wantsPermit of [false, true]) {
  const what = wantsPermit ? 'changes' : 'reads';
  test(`a grant takes effect at once for a caller that ${what}, even before its event arrives`, (t) => {
    const owners = new Owners();
    t.false(owners.check(wantsPermit).answer.allowed);
    owners.grant();
    t.is(owners.recalled, undefined, 'memory alone denies nobody');
    const { answer, permit } = owners.check(wantsPermit);
    t.true(answer.allowed);
    t.is(permit !== undefined, wantsPermit);
    t.like(owners.recalled, { allowed: true });
  });
}

test('a denial by facts that were fetched after its start is final', (t) => {
  const owners = new Owners();
  t.false(owners.check().answer.allowed);
  t.is(owners.fetches, 3);
  t.false(owners.check().answer.allowed);
  t.is(owners.fetches, 6);
});

test('a re-check does not join a fetch that was sent before it', (t) => {
  const owners = new Owners();
  owners.check();
  const first = owners.begin();
  t.deepEqual(kindsOf(first), ['fetchFact']);
  const second = owners.begin();
  t.deepEqual(kindsOf(second), ['fetchFact']);
  t.notDeepEqual(first, second);
});

test('an unknown key is refused from memory', (t) => {
  const owners = new Owners();
  owners.facts.delete(keyHash);
  owners.check();
  t.like(owners.recalled, { allowed: false });
});

test('if many checks are denied at once, the denial from memory is final', (t) => {
  const owners = new Owners({ fetchesMax: 4 });
  owners.check();
  for (let turn = 0; turn < 3; turn++) t.deepEqual(kindsOf(owners.begin()), ['fetchFact']);
  t.deepEqual(kindsOf(owners.begin()), ['answer']);
});

test('after a loss the head of each log is read, even if a response is pending', (t) => {
  const { bench } = new Owners();
  t.deepEqual(kindsOf(bench.step({ kind: 'missed' })), ['readEvents', 'readEvents', 'readEvents']);
  const { requestId, afterSequence } = bench.last('readEvents');
  t.is(afterSequence, 10);
  t.deepEqual(kindsOf(bench.step({ kind: 'missed', source: 'token' })), []);
  const page = { events: [], head: { incarnation: 'a', sequence: 10 }, isCompacted: false };
  const next = bench.step({ kind: 'read', requestId, source: 'token', page });
  t.deepEqual(kindsOf(next), ['readEvents'], 'the first request was sent before the second loss');
});
