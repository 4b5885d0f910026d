/** Tokens of other regions when a region does not answer, with fake regions. */
import assert from 'node:assert/strict';
import type { TokenAnswer, TokenPermitAnswer } from '@silo/access/access.ts';
import { errors } from '@silo/errors/errors.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { ProjectFact } from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import type { LocateHereResponse } from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { defaultLimits } from '@silo/rpc/limits.ts';
import { RateLimits } from '@silo/rpc/rate-limits.ts';
import { type Clock, systemClock } from '@silo/runtime/clock.ts';
import { fakeClock } from '@silo/runtime/test/fake-clock.ts';
import { hashOf, isWellFormed, newApiKey, newProjectToken } from '@silo/tokens/secrets.ts';
import test from 'ava';
import { eventually } from '../../../test/harness/eventually.ts';
import { HttpRefusal } from '../edge/http-refusal.ts';
import { TokenGate } from '../edge/token-gate.ts';
import { TokensElsewhere } from '../edge/tokens-elsewhere.ts';
import { refusalOf } from './support.ts';

const good = newProjectToken();
/** A token of a project that has migrated to `ap`, regenerated there. */
const inAp = newProjectToken();
/** A token of a project of this region, regenerated here. */
const revoked = newProjectToken();

const allowed: TokenPermitAnswer = {
  ...{ allowed: true, projectId: 'prj_1', organizationId: 'org_1' },
  project: ProjectFact.fromPartial({}),
  permit: { release: () => {}, remainingMs: () => 300_000 },
};
const dead: Extract<TokenAnswer, { allowed: false }> = {
  allowed: false,
  refusal: { reason: ErrorReason.ERROR_REASON_TOKEN_INVALID, detail: '' },
};
const nowhere: LocateHereResponse = { region: '', projectId: '' };

/**
 * A gate whose memory knows no token, or only those that were looked up. `eu` does not answer until
 * the end of the test, or refuses the connection.
 */
function openGate({
  addressPoints = defaultLimits.rates.addressPoints,
  isGone = false,
  remembers = false,
  haveAnyLeft = async () => true,
  clock = systemClock as Clock,
} = {}) {
  const memory = new Map<string, TokenPermitAnswer>();
  const look = async (token: string) => {
    const answer = token === good ? allowed : dead;
    memory.set(token, answer);
    return answer;
  };
  const over = Promise.withResolvers<void>();
  const asked = { eu: 0, ap: 0, reports: 0 };
  const silent = async () => {
    asked.eu++;
    if (isGone) throw errors.dependencyUnavailable('the region eu');
    await over.promise;
    return nowhere;
  };
  const locateInAp = async ({ tokenHash }: { tokenHash: Uint8Array }) => {
    asked.ap++;
    return hashOf(inAp).equals(tokenHash) ? { region: 'ap', projectId: 'prj_2' } : nowhere;
  };
  const left = ProjectFact.fromPartial({ state: ProjectState.PROJECT_STATE_MIGRATED });
  const here = ProjectFact.fromPartial({ state: ProjectState.PROJECT_STATE_ACTIVE });
  const gate = new TokenGate({
    access: {
      // Like a guard: a malformed token needs no memory.
      recallToken: (token) =>
        isWellFormed(token, 'phc_') ? (remembers ? memory.get(token) : undefined) : dead,
      permitToken: look,
      verifyToken: look,
    },
    rates: new RateLimits({ ...defaultLimits.rates, windowMs: 3_600_000, addressPoints }),
    elsewhere: new TokensElsewhere({
      regions: new Map([
        ['eu', { locateHere: silent }],
        ['ap', { locateHere: locateInAp }],
      ]),
      projects: { fact: async (projectId) => (projectId === 'prj_here' ? here : left) },
      migratingProjects: { haveAnyLeft },
      directory: {
        findTokenProjects: async ({ tokenHashes: [tokenHash] }) => ({
          tokens: tokenHash?.equals(hashOf(revoked)) ? [{ tokenHash, projectId: 'prj_here' }] : [],
        }),
      },
      clock,
    }),
    onDeadToken: () => {
      asked.reports++;
    },
  });
  const permit = (token: string, address = '192.0.2.1') => {
    const sender = { address, network: address, library: '', origin: '' };
    return gate.permit(token, sender, AbortSignal.timeout(60_000));
  };
  /** Requests with tokens that nobody knows, and the reasons of the refused ones. */
  const refusals: (string | undefined)[] = [];
  const guess = (count: number, address?: string) => {
    for (let index = 0; index < count; index++) {
      permit(newProjectToken(), address).catch((error) =>
        refusals.push(error.reasonName ?? error.reason),
      );
    }
  };
  const refuseKnown = (token: string) => {
    gate.refuseKnown(token, { address: '', network: '192.0.2.1', library: '', origin: '' });
  };
  return { permit, refuseKnown, guess, refusals, asked, end: () => over.resolve() };
}

test('a malformed token is refused before its body is read, without calls to regions or a report', async (t) => {
  const { permit, refuseKnown, asked } = openGate();
  for (const token of ['x', 'phc_malformed', good.toLowerCase(), newApiKey(), `${good} `]) {
    t.throws(() => refuseKnown(token), { instanceOf: HttpRefusal }, token);
    await t.throwsAsync(permit(token), { instanceOf: HttpRefusal }, token);
  }
  t.deepEqual(asked, { eu: 0, ap: 0, reports: 0 });
  t.notThrows(() => refuseKnown(inAp));
});

test('while a region does not answer, other tokens of the same address are looked up', async (t) => {
  const { permit, guess, refusals, asked, end } = openGate();
  guess(5);
  await eventually(() => assert.equal(asked.eu, 5));
  t.true((await permit(good)).allowed);
  t.is((await refusalOf(permit(inAp))).metadata.region, 'ap');
  t.deepEqual(refusals, []);
  end();
  await eventually(() => assert.equal(refusals.length, 5));
  t.deepEqual(new Set(refusals), new Set(['TOKEN_INVALID']));
});

test('guessed tokens fill only the queue of the region that does not answer', async (t) => {
  const { permit, guess, refusals, asked, end } = openGate();
  guess(40, '192.0.2.1');
  await eventually(() => assert.equal(refusals.length, 8, 'an address has 32 calls to a region'));
  for (let address = 2; address <= 11; address++) guess(32, `192.0.2.${address}`);
  await eventually(() => assert.equal(refusals.length, 96, '264 calls run or wait'));
  t.deepEqual(new Set(refusals), new Set(['DEPENDENCY_UNAVAILABLE']));
  t.is(asked.eu, 8, 'a few at a time');
  for (const address of ['192.0.2.1', '192.0.2.11', '192.0.2.99']) {
    t.is((await refusalOf(permit(inAp, address))).metadata.region, 'ap');
    t.true((await permit(good, address)).allowed);
  }
  end();
  await eventually(() => assert.equal(refusals.length, 360));
});

test('a token that no region has costs its address points, like every other invalid one', async (t) => {
  const { permit, guess, refusals, end } = openGate({ addressPoints: 60 });
  end();
  for (let count = 1; count <= 4; count++) {
    guess(1);
    await eventually(() => assert.equal(refusals.length, count));
  }
  t.deepEqual(refusals, ['TOKEN_INVALID', 'TOKEN_INVALID', 'TOKEN_INVALID', 'RATE_LIMITED']);
  t.true((await permit(good, '192.0.2.2')).allowed);
});

test('a token about which a region does not answer costs its address the same, once', async (t) => {
  const { permit, refusals, guess } = openGate({
    addressPoints: 60,
    isGone: true,
    remembers: true,
  });
  const unknown = newProjectToken();
  for (let count = 1; count <= 5; count++) {
    t.is((await refusalOf(permit(unknown))).reasonName, 'DEPENDENCY_UNAVAILABLE');
  }
  for (let count = 1; count <= 3; count++) {
    guess(1);
    await eventually(() => assert.equal(refusals.length, count));
  }
  t.deepEqual(refusals, ['DEPENDENCY_UNAVAILABLE', 'DEPENDENCY_UNAVAILABLE', 'RATE_LIMITED']);
  t.is(
    (await refusalOf(permit(unknown))).reasonName,
    'DEPENDENCY_UNAVAILABLE',
    'the token is known',
  );
  t.true((await permit(good, '192.0.2.2')).allowed);
});

test('while no project has left for another region, dead tokens are refused without a call to another region', async (t) => {
  const clock = fakeClock();
  const reads: boolean[] = [];
  let hasLeft = false;
  const haveAnyLeft = async () => {
    reads.push(hasLeft);
    return hasLeft;
  };
  const { permit, refuseKnown, asked } = openGate({ haveAnyLeft, clock, remembers: true });
  for (const token of [inAp, revoked]) {
    await t.throwsAsync(permit(token), { instanceOf: HttpRefusal });
    t.throws(() => refuseKnown(token), { instanceOf: HttpRefusal });
  }
  t.deepEqual([asked.eu, asked.ap, reads.length], [0, 0, 1]);
  hasLeft = true;
  clock.advance(999);
  t.throws(() => refuseKnown(inAp), { instanceOf: HttpRefusal });
  clock.advance(1);
  t.notThrows(() => refuseKnown(inAp));
  t.is((await refusalOf(permit(inAp))).metadata.region, 'ap');
  await t.throwsAsync(permit(revoked), { instanceOf: HttpRefusal });
  t.deepEqual(reads, [false, true]);
});

test('a revoked token of a project in this region is refused although another region does not answer', async (t) => {
  const { permit, refuseKnown, asked } = openGate({ remembers: true });
  await t.throwsAsync(permit(revoked), { instanceOf: HttpRefusal });
  t.throws(() => refuseKnown(revoked), { instanceOf: HttpRefusal });
  t.deepEqual([asked.eu, asked.ap], [0, 0]);
});
