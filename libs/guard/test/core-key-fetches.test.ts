import test from 'ava';
import type { FactName } from '../core/facts.ts';
import type { AccessCheck } from '../core/lookup.ts';
import type { GuardAction } from '../core/messages.ts';
import { Bench, kindsOf } from './core-support.ts';

const keyHash = 'ab'.repeat(32);
const fingerprint = keyHash.slice(0, 12);
const question = { keyHash: Buffer.from(keyHash, 'hex') };
const check: AccessCheck = { kind: 'access', keyHash, question };
const key = {
  ...{ keyId: 'key_1', accountId: 'acc_1', scopes: ['*'], organizationIds: [], projectIds: [] },
  ...{ expireTime: undefined, disabled: false },
};

type Fetch = Extract<GuardAction, { kind: 'fetchFact' }>;

/** A guard under a read lease that knows no key. */
class Keys {
  readonly bench = new Bench();
  #lookupId = 0;
  #sequence = 10;

  constructor() {
    this.bench.startWithReadLease();
  }

  begin(wantsPermit: boolean): GuardAction[] {
    const lookupId = ++this.#lookupId;
    return this.bench.step({ kind: 'lookup', lookupId, check, wantsPermit });
  }

  /** Begins a lookup that fetches the key. */
  fetch(wantsPermit = false): Fetch {
    const [fetch] = this.begin(wantsPermit);
    if (fetch?.kind !== 'fetchFact') throw new Error('no fact fetch was sent');
    return fetch;
  }

  found({ fetchId }: Fetch, value: typeof key | undefined = key): GuardAction[] {
    return this.bench.step({ kind: 'factFetched', fetchId, reply: { value } });
  }

  /** An event that ends keys of these names. */
  changed(...names: string[]): void {
    const sequence = ++this.#sequence;
    const ends = names.map((name): FactName => ({ kind: 'key', name }));
    const head = { incarnation: 'a', sequence };
    this.bench.step({ kind: 'batch', source: 'token', head, events: [{ sequence, ends }] });
  }

  get remembers(): boolean {
    return this.bench.core.recall(check, this.bench.now) !== undefined;
  }
}

test('a mutation fetches its key once, even if other keys change meanwhile', (t) => {
  const keys = new Keys();
  const fetch = keys.fetch(true);
  keys.changed('key_2', 'cdcdcdcdcdcd');
  t.like(keys.found(fetch), [
    { kind: 'answer', answer: { allowed: true }, permit: { over: false } },
  ]);
  t.true(keys.remembers);
});

test('a key that changes during its fetch is not remembered, and a mutation fetches it again', (t) => {
  const keys = new Keys();
  const fetch = keys.fetch(true);
  keys.changed('key_2');
  keys.changed('key_1');
  keys.changed('key_3');
  t.deepEqual(kindsOf(keys.found(fetch)), ['fetchFact']);
  t.false(keys.remembers);
});

test('an unknown key that is created during its fetch is not remembered as unknown', (t) => {
  const keys = new Keys();
  const created = keys.fetch();
  keys.changed('key_1', fingerprint);
  t.deepEqual(kindsOf(keys.found(created, undefined)), ['answer']);
  t.false(keys.remembers);
  const other = keys.fetch();
  keys.changed('key_2', 'cdcdcdcdcdcd');
  keys.found(other, undefined);
  t.true(keys.remembers);
});

test('a lookup does not join a fetch of a key that was sent before any key changed', (t) => {
  const keys = new Keys();
  const first = keys.fetch();
  t.deepEqual(keys.begin(false), []);
  keys.changed('key_2');
  t.not(keys.fetch().fetchId, first.fetchId);
});

test('a change is noticed even if many other keys change after it', (t) => {
  const keys = new Keys();
  const fetch = keys.fetch();
  keys.changed('key_1');
  for (let other = 0; other < 5_000; other++) keys.changed(`key_other_${other}`);
  keys.found(fetch);
  t.false(keys.remembers);
});
