import { type Dimension, exceeds, type Reach } from '@silo/access/reach.ts';
import { reasonName } from '@silo/errors/reason-name.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import type { KeyFact } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import test from 'ava';
import { checkStillCaller, checkWithinCaller, isVisible, widenedTo } from '../rules/key-scope.ts';
import { checkKeyCount, longExpired } from '../rules/keys-per-account.ts';

const early = new Date('2030-01-01T00:00:00Z');
const late = new Date('2031-01-01T00:00:00Z');

function reach(over: Partial<Reach> = {}): Reach {
  return { scopes: ['*'], organizationIds: [], projectIds: [], ...over };
}

function keyFact(over: Partial<KeyFact> = {}): KeyFact {
  return {
    ...{ keyId: 'key_1', accountId: 'acc_1', scopes: ['*'], organizationIds: [], projectIds: [] },
    ...{ expireTime: undefined, disabled: false },
    ...over,
  };
}

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof SiloError) {
      return [reasonName(error.reason), ...Object.values(error.metadata)].join(' ');
    }
    throw error;
  }
  return 'allowed';
}

const comparisons: { rule: string; given: Reach; own: Reach; beyond: Dimension | undefined }[] = [
  { rule: 'the same reach lies within', given: reach(), own: reach(), beyond: undefined },
  {
    rule: 'a scope lies within *',
    given: reach({ scopes: ['token:write'] }),
    own: reach(),
    beyond: undefined,
  },
  {
    rule: '* goes beyond any scope',
    given: reach(),
    own: reach({ scopes: ['key:write', 'token:write'] }),
    beyond: 'scopes',
  },
  {
    rule: 'a read scope lies within the write scope',
    given: reach({ scopes: ['key:read'] }),
    own: reach({ scopes: ['key:write'] }),
    beyond: undefined,
  },
  {
    rule: 'a write scope goes beyond the read scope',
    given: reach({ scopes: ['key:write'] }),
    own: reach({ scopes: ['key:read'] }),
    beyond: 'scopes',
  },
  {
    rule: 'an additional scope goes beyond',
    given: reach({ scopes: ['key:read', 'event:read'] }),
    own: reach({ scopes: ['key:write'] }),
    beyond: 'scopes',
  },
  {
    rule: 'a restriction lies within none',
    given: reach({ organizationIds: ['org_a'] }),
    own: reach(),
    beyond: undefined,
  },
  {
    rule: 'no restriction goes beyond one',
    given: reach(),
    own: reach({ projectIds: ['prj_a'] }),
    beyond: 'restrictions',
  },
  {
    rule: 'fewer organizations lie within more',
    given: reach({ organizationIds: ['org_a'] }),
    own: reach({ organizationIds: ['org_b', 'org_a'] }),
    beyond: undefined,
  },
  {
    rule: 'another organization goes beyond',
    given: reach({ organizationIds: ['org_c'] }),
    own: reach({ organizationIds: ['org_a'] }),
    beyond: 'restrictions',
  },
  {
    rule: 'a project goes beyond an organization, which may lose it',
    given: reach({ projectIds: ['prj_a'] }),
    own: reach({ organizationIds: ['org_a'] }),
    beyond: 'restrictions',
  },
  {
    rule: 'an expiry lies within none',
    given: reach({ expireTime: late }),
    own: reach(),
    beyond: undefined,
  },
  {
    rule: 'no expiry goes beyond one',
    given: reach(),
    own: reach({ expireTime: late }),
    beyond: 'expire_time',
  },
  {
    rule: 'the same expiry lies within',
    given: reach({ expireTime: late }),
    own: reach({ expireTime: late }),
    beyond: undefined,
  },
  {
    rule: 'a later expiry goes beyond',
    given: reach({ expireTime: late }),
    own: reach({ expireTime: early }),
    beyond: 'expire_time',
  },
];

for (const { rule, given, own, beyond } of comparisons) {
  test(`of two keys, ${rule}`, (t) => {
    t.is(exceeds(given, own), beyond);
  });
}

const changes: { rule: string; before: Reach; after: Reach; caller: Reach; outcome: string }[] = [
  {
    rule: 'a key with a small reach may narrow one with a greater reach',
    before: reach(),
    after: reach({ scopes: ['event:read', 'billing:write'] }),
    caller: reach({ scopes: ['key:write'] }),
    outcome: 'allowed',
  },
  {
    rule: 'a caller cannot give a key a scope that it lacks itself',
    before: reach({ scopes: ['event:read'] }),
    after: reach({ scopes: ['event:read', 'billing:write'] }),
    caller: reach({ scopes: ['key:write', 'event:write'] }),
    outcome: 'KEY_EXCEEDS_CALLER scopes',
  },
  {
    rule: 'a caller can give a key a scope that it holds itself',
    before: reach({ scopes: ['event:read'] }),
    after: reach({ scopes: ['event:write'] }),
    caller: reach({ scopes: ['key:write', 'event:write'] }),
    outcome: 'allowed',
  },
  {
    rule: 'a caller that widens one field must have the whole reach of the key',
    before: reach({ scopes: ['event:read'] }),
    after: reach({ scopes: ['event:write'] }),
    caller: reach({ scopes: ['*'], expireTime: early }),
    outcome: 'KEY_EXCEEDS_CALLER expire_time',
  },
  {
    rule: 'a restricted key cannot remove its own restriction',
    before: reach({ organizationIds: ['org_a'] }),
    after: reach(),
    caller: reach({ organizationIds: ['org_a'] }),
    outcome: 'KEY_EXCEEDS_CALLER restrictions',
  },
  {
    rule: 'an expiring key cannot postpone its own expiry',
    before: reach({ expireTime: early }),
    after: reach({ expireTime: late }),
    caller: reach({ expireTime: early }),
    outcome: 'KEY_EXCEEDS_CALLER expire_time',
  },
  {
    rule: 'an expiring key may get an earlier expiry',
    before: reach({ expireTime: late }),
    after: reach({ expireTime: early }),
    caller: reach({ expireTime: late }),
    outcome: 'allowed',
  },
];

for (const { rule, before, after, caller, outcome } of changes) {
  test(`when a key is changed, ${rule}`, (t) => {
    t.is(
      refusal(() => {
        const widened = widenedTo(before, after);
        if (widened !== undefined) checkWithinCaller(widened, caller);
      }),
      outcome,
    );
  });
}

test('a key creates only keys that lie within its own reach', (t) => {
  const caller = reach({ scopes: ['key:write', 'project:read'] });
  t.is(
    refusal(() => checkWithinCaller(reach({ scopes: ['project:read'] }), caller)),
    'allowed',
  );
  t.is(
    refusal(() => checkWithinCaller(reach(), caller)),
    'KEY_EXCEEDS_CALLER scopes',
  );
});

test('a key sees the keys of its own account, and a restricted key sees only itself', (t) => {
  const own = { _id: 'key_1', accountId: 'acc_1' };
  const sibling = { _id: 'key_2', accountId: 'acc_1' };
  const foreign = { _id: 'key_1', accountId: 'acc_2' };
  const restricted = keyFact({ projectIds: ['prj_a'] });
  t.deepEqual(
    [own, sibling, foreign].map((key) => isVisible(keyFact(), key)),
    [true, true, false],
  );
  t.deepEqual(
    [own, sibling, foreign].map((key) => isVisible(restricted, key)),
    [true, false, false],
  );
});

test('a key that was ended or narrowed after its call arrived changes nothing', (t) => {
  const outcome = (fact: KeyFact | undefined) => refusal(() => checkStillCaller(fact, early));
  t.is(outcome(keyFact()), 'allowed');
  t.is(outcome(undefined), 'TOKEN_INVALID');
  t.is(outcome(keyFact({ disabled: true })), 'TOKEN_INVALID');
  t.is(outcome(keyFact({ expireTime: early })), 'TOKEN_INVALID');
  t.is(outcome(keyFact({ scopes: ['key:read'] })), 'SCOPE_REQUIRED key:write');
});

test('an account may have 100 unexpired keys, and keeps the latest 100 expired ones', (t) => {
  const keyEnding = (afterMs: number | undefined, nth: number) => ({
    _id: `key_${nth}`,
    expireTime: afterMs === undefined ? undefined : new Date(early.getTime() + afterMs),
  });
  const live = Array.from({ length: 100 }, (_, nth) => keyEnding(nth % 2 ? 1 : undefined, nth));
  const expired = Array.from({ length: 102 }, (_, nth) => keyEnding(-nth, 1_000 + nth));
  const counted = (all: typeof live) => refusal(() => checkKeyCount(all, early));
  t.is(counted([...live, ...expired]), 'allowed');
  t.is(counted([...live, keyEnding(1, 100)]), 'RESOURCE_LIMIT api_keys 100');
  t.deepEqual(longExpired([...expired, ...live], early), ['key_1100', 'key_1101']);
  t.deepEqual(longExpired([...expired.slice(2), ...live], early), []);
});
