/**
 * A check of a hidden target takes the same rounds of the same fetches as that of a target that
 * does not exist.
 */

import type { Question } from '@silo/access/access.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import test from 'ava';
import { membershipId } from '../core/facts.ts';
import type { GuardAction } from '../core/messages.ts';
import { Bench } from './core-support.ts';

const { PROJECT_STATE_ACTIVE, PROJECT_STATE_DELETED } = ProjectState;
const ownHash = 'ab'.repeat(32);
const hostHash = 'cd'.repeat(32);

function keyOf(accountId: string, projectIds: string[] = []) {
  return {
    ...{ keyId: `key of ${accountId}`, accountId, scopes: ['*'], organizationIds: [], projectIds },
    ...{ expireTime: undefined, disabled: false },
  };
}

const facts = new Map<string, unknown>([
  [ownHash, keyOf('acc_own')],
  [hostHash, keyOf('acc_host')],
  ['prj_hidden', { organizationId: 'org_host', state: PROJECT_STATE_ACTIVE }],
  ['prj_other', { organizationId: 'org_host', state: PROJECT_STATE_ACTIVE }],
  ['prj_deleted', { organizationId: 'org_own', state: PROJECT_STATE_DELETED }],
  ['prj_own', { organizationId: 'org_own', state: PROJECT_STATE_ACTIVE }],
  ['org_host', { membersMayCreateProjects: true }],
  ['org_own', { membersMayCreateProjects: true }],
  [membershipId('acc_host', 'org_host'), Level.LEVEL_OWNER],
  [membershipId('acc_own', 'org_own'), Level.LEVEL_OWNER],
]);

type Target = Pick<Question, 'projectId' | 'organizationId' | 'evenGone'>;

/** A guard under a read lease, whose every lookup is answered round by round. */
class Owners {
  readonly #bench = new Bench({ factsMax: 100, unknownMax: 100, fetchesMax: 100 });
  readonly #facts: ReadonlyMap<string, unknown>;
  #lookupId = 0;

  constructor(known: ReadonlyMap<string, unknown> = facts) {
    this.#facts = known;
    this.#bench.startWithReadLease();
  }

  /** Checks access; returns the fetches, grouped by round, and the answer. */
  check(keyHash: string, target: Target, wantsPermit = false) {
    const question = { keyHash: Buffer.from(keyHash, 'hex'), scope: 'project:write', ...target };
    const check = { kind: 'access', keyHash, question } as const;
    const lookupId = ++this.#lookupId;
    let actions = this.#bench.step({ kind: 'lookup', lookupId, check, wantsPermit });
    const rounds: string[][] = [];
    for (;;) {
      const answered = actions.find((action) => action.kind === 'answer');
      if (answered !== undefined) return { rounds, answer: answered.answer };
      const fetches = actions.filter((action) => action.kind === 'fetchFact');
      if (fetches.length === 0) throw new Error('there is no answer');
      rounds.push(fetches.map(({ ref }) => ref.kind).sort());
      actions = fetches.flatMap((fetch) => this.#fetched(fetch));
    }
  }

  #fetched({ fetchId, ref }: Extract<GuardAction, { kind: 'fetchFact' }>): GuardAction[] {
    const value = this.#facts.get(ref.id) as never;
    return this.#bench.step({ kind: 'factFetched', fetchId, reply: { value } });
  }
}

const hidden = { projectId: 'prj_hidden' };
const absent = { projectId: 'prj_absent' };

/** Earlier checks whose facts the guard may remember. */
const histories: Record<string, [keyHash: string, target: Target][]> = {
  nothing: [],
  'the caller’s own key': [[ownHash, { projectId: 'prj_own' }]],
  'the target, for its members': [[hostHash, hidden]],
  'the target for its members, and the caller’s own key': [
    [hostHash, hidden],
    [ownHash, { projectId: 'prj_own' }],
  ],
  'its organization, for its members and for the caller': [
    [hostHash, { projectId: 'prj_other' }],
    [ownHash, { projectId: 'prj_other' }],
  ],
  'the same target, for the caller': [
    [ownHash, hidden],
    [ownHash, absent],
  ],
};

for (const [what, history] of Object.entries(histories)) {
  for (const wantsPermit of [false, true]) {
    const how = wantsPermit ? 'to change it' : 'to read it';
    const decided = (target: Target) => {
      const owners = new Owners();
      for (const [keyHash, before] of history) owners.check(keyHash, before, wantsPermit);
      const { rounds, answer } = owners.check(ownHash, target, wantsPermit);
      return { rounds, reason: answer.allowed ? 'allowed' : answer.refusal?.reason };
    };

    test(`a hidden project costs the same as an absent one, ${how}, if the guard remembers ${what}`, (t) => {
      const reason = ErrorReason.ERROR_REASON_PROJECT_NOT_FOUND;
      const rounds = [
        ['key', 'project'],
        ['membership', 'organization'],
      ];
      t.deepEqual(decided(hidden), { rounds, reason });
      t.deepEqual(decided(absent), { rounds, reason });
    });

    test(`a hidden organization costs the same as an absent one, ${how}, if the guard remembers ${what}`, (t) => {
      const reason = ErrorReason.ERROR_REASON_ORGANIZATION_NOT_FOUND;
      const rounds = [['key'], ['membership', 'organization']];
      t.deepEqual(decided({ organizationId: 'org_host' }), { rounds, reason });
      t.deepEqual(decided({ organizationId: 'org_absent' }), { rounds, reason });
    });
  }
}

test('a deleted project of the caller, and one outside the key’s restriction, cost the same as an absent one', (t) => {
  const owners = new Owners();
  owners.check(ownHash, { projectId: 'prj_own' });
  const { rounds } = owners.check(ownHash, absent);
  t.deepEqual(owners.check(ownHash, { projectId: 'prj_deleted' }).rounds, rounds);
  const restricted = new Map([...facts, [ownHash, keyOf('acc_own', ['prj_deleted'])]]);
  const others = new Owners(restricted);
  others.check(ownHash, { projectId: 'prj_deleted' });
  t.deepEqual(others.check(ownHash, { projectId: 'prj_own' }).rounds, rounds);
  t.deepEqual(others.check(ownHash, absent).rounds, rounds);
});

test('the check of a member fetches only facts that are not remembered', (t) => {
  const owners = new Owners();
  t.true(owners.check(ownHash, { projectId: 'prj_own' }).answer.allowed);
  t.deepEqual(owners.check(ownHash, { projectId: 'prj_own' }).rounds, []);
  t.deepEqual(owners.check(ownHash, { organizationId: 'org_own' }).rounds, []);
});
