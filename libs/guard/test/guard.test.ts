/** A guard of another product against a deployment in which everything runs. */
import { Authorization } from '@silo/access/authorization.ts';
import { createEventLog } from '@silo/log/event-log.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { Propagation } from '@silo/protos/gen/silo/common/v1/propagation.ts';
import { systemClock } from '@silo/runtime/clock.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import { createMetrics } from '@silo/runtime/metrics.ts';
import { fingerprintOf, newApiKey, newProjectToken } from '@silo/tokens/secrets.ts';
import anyTest, { type TestFn } from 'ava';
import type { Collection, Document, Filter } from 'mongodb';
import { ulid } from 'ulid';
import { eventually, untilAnswered } from '../../../test/harness/eventually.ts';
import { machineMs } from '../../../test/harness/machine-clock.ts';
import { startTestSilo, type TestSilo } from '../../../test/harness/silo.ts';
import { millisecondsOf, Yardstick } from '../../../test/harness/yardstick.ts';
import { createGuard } from '../create-guard.ts';
import type { Revoked } from '../guard-status.ts';
import {
  guardOptions,
  openGuard,
  openKnowing,
  remembered,
  untilReadLease,
  untilRemembered,
} from './guard-support.ts';
import { InterposedRegistry } from './interposed-registry.ts';

// Serial: facts that one test ends would have to be fetched again by the guards of the others.
const test = anyTest as TestFn<{ silo: TestSilo }>;

test.before(async (t) => {
  t.context = { silo: await startTestSilo() };
});

test.after.always((t) => t.context.silo?.[Symbol.asyncDispose]());

/** Emits an event that this release does not know in the log of the project service. */
async function emitUnknownEvent(silo: TestSilo): Promise<void> {
  await using eventLog = createEventLog({
    client: silo.mongo,
    db: silo.mongo.db(`${silo.databasePrefix}_project`),
    ...{ service: 'project', region: 'us', clock: systemClock, log: silentLogger() },
  });
  const { signal } = new AbortController();
  const mutation = { id: 'test', actor: 'test', authorization: new Authorization(), signal };
  await eventLog.decide(mutation, async (tx) => {
    tx.emit({ event: 'frobnicated', subject: 'prj_1', body: {} });
  });
}

/** The options of a guard that reaches the registry through this server. */
function throughRegistry(silo: TestSilo, { address }: InterposedRegistry) {
  const options = guardOptions(silo);
  return { ...options, addresses: { ...options.addresses, token: address } };
}

/**
 * Repeats a guard's life until its end released the lease in time: the guard's own wait may be too
 * short on a busy machine.
 */
async function untilReleased(
  leases: Collection,
  held: Filter<Document>,
  live: () => Promise<void>,
): Promise<void> {
  await eventually(async () => {
    await live();
    const { deletedCount } = await leases.deleteMany(held);
    if (deletedCount > 0) throw new Error('the lease was not released in time');
  });
}

/** The counts of a revocation's barrier. A missing count is NaN, which equals no count. */
function countsOf({ propagation }: { propagation?: Propagation | undefined }) {
  const { expired = Number.NaN, guards = Number.NaN } = propagation ?? {};
  return { expired, guards };
}

test.serial('a check names at most one target, and an empty id never matches', async (t) => {
  const { silo } = t.context;
  const [ada, eve] = [await silo.signUp('Ada'), await silo.signUp('Eve')];
  const guard = openGuard(t, silo);
  await untilReadLease(guard);
  const scope = 'project:read';
  // Access to her own organization gives no access to a project of another one.
  const both = { scope, organizationId: eve.organization.id, projectId: ada.projectId } as never;
  t.throws(() => guard.authorize(eve.apiKey, both), { instanceOf: TypeError });
  await t.throwsAsync(guard.permit(eve.apiKey, both), { instanceOf: TypeError });
  for (const [where, reason] of [
    [{ organizationId: '' }, ErrorReason.ERROR_REASON_ORGANIZATION_NOT_FOUND],
    [{ projectId: '' }, ErrorReason.ERROR_REASON_PROJECT_NOT_FOUND],
    // Values that plain JavaScript may pass.
    [{ organizationId: null as never }, ErrorReason.ERROR_REASON_ORGANIZATION_NOT_FOUND],
    [{ projectId: null as never }, ErrorReason.ERROR_REASON_PROJECT_NOT_FOUND],
  ] as const) {
    const refused = { allowed: false, refusal: { reason, detail: '' } } as const;
    t.deepEqual(await guard.authorize(eve.apiKey, { scope, ...where }), refused);
    t.deepEqual(await guard.permit(eve.apiKey, { scope, ...where }), refused);
  }
  t.true((await guard.authorize(eve.apiKey, { scope, projectId: eve.projectId })).allowed);
});

test.serial('a repeated check is decided synchronously from memory', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp('Ada');
  const guard = openGuard(t, silo);
  await untilReadLease(guard);
  const facts = { allowed: true, projectId: ada.projectId, organizationId: ada.organization.id };
  t.is(remembered(guard.verifyToken(ada.projectToken)), undefined);
  t.like(await guard.verifyToken(ada.projectToken), facts);
  const need = { scope: 'project:write', projectId: ada.projectId, level: Level.LEVEL_ADMIN };
  // Facts that the events of the sign-up ended are fetched again.
  await untilRemembered(() => guard.verifyToken(ada.projectToken));
  await untilRemembered(() => guard.authorize(ada.apiKey, need));
  const { memory } = guard.status().answers;
  t.like(remembered(guard.verifyToken(ada.projectToken)), facts);
  const answer = remembered(guard.authorize(ada.apiKey, need));
  t.like(answer, { allowed: true });
  t.is(answer?.allowed && answer.facts.organization?.level, Level.LEVEL_OWNER);
  t.is(guard.status().answers.memory, memory + 2);
  await eventually(() => {
    if (!guard.status().isSubscribed) throw new Error('it is not subscribed');
  });
});

test.serial('malformed secrets are refused in the same turn, before there is a read lease', (t) => {
  const guard = openGuard(t, t.context.silo);
  t.false(guard.status().hasReadLease);
  for (const token of ['', 'phc_', newApiKey(), `${newProjectToken()}x`, 'x'.repeat(1_000_000)]) {
    t.like(remembered(guard.verifyToken(token)), { allowed: false });
    t.like(remembered(guard.authorize(token === '' ? newProjectToken() : token.slice(1), {})), {
      allowed: false,
      refusal: { reason: ErrorReason.ERROR_REASON_TOKEN_INVALID },
    });
  }
  t.is(guard.status().fetches, 0);
});

test.serial(
  'a guard that ends before it has its lease leaves none behind, however late Acquire is executed',
  async (t) => {
    const { silo } = t.context;
    const ada = await silo.signUp('Ada');
    const request = { projectId: ada.projectId, expectedFingerprint: '', requestId: '' };
    const revoke = () => ada.api.projectTokens.regenerateProjectToken(request);
    // Waits until the lease that a guard of an earlier test may have left has expired.
    const guardsBefore = await eventually(async () => {
      const { expired, guards } = countsOf(await revoke());
      if (expired !== 0) throw new Error(`${expired} of ${guards} guards did not answer`);
      return guards;
    });
    const registry = await InterposedRegistry.start(t, silo);
    const guard = createGuard(throughRegistry(silo, registry));
    await eventually(() => {
      if (registry.held === 0) throw new Error('Acquire has not come');
    });
    await guard[Symbol.asyncDispose]();
    await registry.passHeld();
    t.deepEqual(countsOf(await revoke()), { expired: 0, guards: guardsBefore });
  },
);

test.serial('a guard that ends retries a failed release', async (t) => {
  const { silo } = t.context;
  const registry = await InterposedRegistry.start(t, silo);
  const leases = silo.mongo.db(`${silo.databasePrefix}_token`).collection('guard_leases');
  const held = { guardName: 'persistent', releaseTime: { $exists: false } };
  await untilReleased(leases, held, async () => {
    const guard = createGuard({ ...throughRegistry(silo, registry), name: 'persistent' });
    await eventually(() => {
      if (registry.held === 0) throw new Error('Acquire has not come');
    });
    await registry.passHeld();
    t.is(await leases.countDocuments(held), 1);
    registry.failingReleases = 1;
    await guard[Symbol.asyncDispose]();
  });
  t.is(await leases.countDocuments(held), 0);
});

test.serial('an unknown token is fetched once, then rejected from memory', async (t) => {
  const guard = openGuard(t, t.context.silo);
  await untilReadLease(guard);
  const token = newProjectToken();
  t.false((await guard.verifyToken(token)).allowed);
  t.like(remembered(guard.verifyToken(token)), { allowed: false });
});

test.serial(
  'a regenerated token is refused when the call returns, after about one round trip',
  async (t) => {
    const { silo } = t.context;
    const { ada, guard } = await openKnowing(t, silo);
    const revocations: Revoked[] = [];
    using _listening = guard.onRevoked((revoked) => revocations.push(revoked));
    await using yardstick = await Yardstick.start(silo.mongo);
    let { projectToken } = ada;
    // A pause of one process between two rounds of the yardstick must not fail the test.
    await eventually(async () => {
      await untilRemembered(() => guard.verifyToken(projectToken));
      const fromMs = machineMs();
      const request = { projectId: ada.projectId, expectedFingerprint: '', requestId: '' };
      const answer = await ada.api.projectTokens.regenerateProjectToken(request);
      const roundMs = yardstick.longestMs(fromMs, machineMs());
      t.false((await untilAnswered(async () => guard.verifyToken(projectToken))).allowed);
      const { propagation } = answer;
      t.true((propagation?.guards ?? 0) >= 5, 'four services, and this guard');
      t.is(propagation?.expired, 0);
      const name = fingerprintOf(projectToken);
      t.true(
        revocations.some(
          ({ facts }) => facts !== 'everything' && facts.some((fact) => fact.name === name),
        ),
      );
      projectToken = answer.projectToken?.token ?? '';
      const elapsedMs = millisecondsOf(propagation?.elapsed);
      if (elapsedMs >= 50 * roundMs) {
        throw new Error(`${elapsedMs} ms, where a round takes ${roundMs}`);
      }
    });
  },
);

test.serial(
  'an account that joins later, gets a higher level or has a key enabled has access at once',
  async (t) => {
    const { silo } = t.context;
    const ada = await silo.signUp('Ada');
    const guard = openGuard(t, silo);
    await untilReadLease(guard);
    const { apiKeyId: keyId, apiKey } = ada;
    const organizationId = ada.organization.id;
    t.true((await guard.authorize(apiKey, { organizationId })).allowed);
    const second = await ada.api.apiKeys.createApiKey({
      apiKey: {
        ...{ id: '', accountId: '', name: 'second', masked: '', fingerprint: '', scopes: ['*'] },
        ...{ organizationIds: [], projectIds: [], expireTime: undefined, disabled: false },
        ...{ createTime: undefined, updateTime: undefined, lastUseTime: undefined },
        ...{ overlapExpireTime: undefined, etag: '' },
      },
      requestId: crypto.randomUUID(),
    });
    const other = silo.as(second.secret);
    await other.apiKeys.disableApiKey({ keyId, etag: '', requestId: '' });
    t.false((await guard.authorize(apiKey, { organizationId })).allowed);
    await other.apiKeys.enableApiKey({ keyId, etag: '', requestId: '' });
    t.true((await guard.authorize(apiKey, { organizationId })).allowed);
  },
);

test.serial('a revocation waits for a permit that depends on the revoked access', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp('Ada');
  const guard = openGuard(t, silo);
  await untilReadLease(guard);
  const need = { scope: 'project:write', projectId: ada.projectId };
  const answer = await guard.permit(ada.apiKey, need);
  if (!answer.allowed) return t.fail();
  t.true(answer.permit.remainingMs() > 0);
  const request = { keyId: ada.apiKeyId, etag: '', requestId: '' };
  let isOver = false;
  const deleting = ada.api.apiKeys.deleteApiKey(request).finally(() => {
    isOver = true;
  });
  await eventually(async () => {
    if ((await guard.authorize(ada.apiKey, need)).allowed) throw new Error('not applied yet');
  });
  t.true(answer.permit.remainingMs() > 0, 'applied at once, and the permit stays valid');
  t.false(isOver);
  answer.permit.release();
  const { propagation } = await deleting;
  t.is(answer.permit.remainingMs(), 0);
  t.is(propagation?.expired, 0);
  t.like(await guard.permit(ada.apiKey, need), { allowed: false });
});

test.serial('an event that a guard does not understand ends all facts of its source', async (t) => {
  const { silo } = t.context;
  const { ada, guard } = await openKnowing(t, silo);
  const ended: Revoked[] = [];
  using _listening = guard.onRevoked((revoked) => ended.push(revoked));
  await emitUnknownEvent(silo);
  await eventually(() => {
    const all = ended.find(({ source, facts }) => source === 'project' && facts === 'everything');
    if (all === undefined) throw new Error(JSON.stringify(ended));
  });
  t.is(remembered(guard.verifyToken(ada.projectToken)), undefined);
  t.true((await untilRemembered(() => guard.verifyToken(ada.projectToken))).allowed);
});

test.serial('a lost lease loses no facts: they are used with a new lease', async (t) => {
  const { silo } = t.context;
  const { ada, guard } = await openKnowing(t, silo, { name: 'loser' });
  const leases = silo.mongo.db(`${silo.databasePrefix}_token`).collection('guard_leases');
  const before = await leases.findOne({ guardName: 'loser' });
  await leases.deleteOne({ guardName: 'loser' });
  const { owners } = guard.status().answers;
  await eventually(async () => {
    const after = await leases.findOne({ guardName: 'loser' });
    if (after === null || after._id === before?._id) throw new Error('no other lease');
  });
  await untilReadLease(guard);
  t.true(remembered(guard.verifyToken(ada.projectToken))?.allowed);
  t.is(guard.status().answers.owners, owners);
  const request = { projectId: ada.projectId, expectedFingerprint: '', requestId: '' };
  await ada.api.projectTokens.regenerateProjectToken(request);
  t.false((await guard.verifyToken(ada.projectToken)).allowed);
});

test.serial('the use of a key at a guard is reported', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp('Ada');
  const guard = openGuard(t, silo);
  const fromMs = Date.now();
  t.true((await untilAnswered(async () => guard.authorize(ada.apiKey, {}))).allowed);
  const keys = silo.mongo
    .db(`${silo.databasePrefix}_token`)
    .collection<{ _id: string; lastUseTime?: Date }>('api_keys');
  const used = await eventually(async () => {
    const key = await keys.findOne({ _id: ada.apiKeyId });
    if (key?.lastUseTime === undefined) throw new Error('it is not noted');
    return key.lastUseTime;
  });
  // The time has a precision of a minute.
  t.true(used.getTime() > fromMs - 60_000 && used.getTime() < Date.now() + 60_000);
});

test.serial('metrics report the state of a guard', async (t) => {
  const { silo } = t.context;
  const ada = await silo.signUp('Ada');
  const metrics = createMetrics({ service: 'edge', region: 'us' });
  const guard = openGuard(t, silo, { metrics });
  await untilReadLease(guard);
  await untilRemembered(() => guard.verifyToken(ada.projectToken));
  const text = await metrics.metrics();
  t.regex(text, /^silo_guard_read_lease\{.*\} 1$/m);
  t.regex(text, /^silo_guard_facts\{.*\} 2$/m);
  t.regex(text, /^silo_guard_answers_total\{by="memory",.*\} [1-9]/m);
  t.regex(text, /^silo_guard_position\{source="project",.*\} [1-9]/m);
});

test.serial('a guard that ends releases its lease, and no revocation waits for it', async (t) => {
  const { silo } = t.context;
  const leases = silo.mongo.db(`${silo.databasePrefix}_token`).collection('guard_leases');
  const held = { guardName: 'leaver', releaseTime: { $exists: false } };
  await untilReleased(leases, held, async () => {
    const guard = openGuard(t, silo, { name: 'leaver' });
    await untilReadLease(guard);
    t.is(await leases.countDocuments(held), 1);
    await guard[Symbol.asyncDispose]();
  });
  t.is(await leases.countDocuments(held), 0);
});

test.serial('another incarnation of a log ends all facts of its source', async (t) => {
  await using silo = await startTestSilo();
  const { ada, guard } = await openKnowing(t, silo);
  const before = guard.status().positions.project;
  const log = silo.mongo.db(`${silo.databasePrefix}_project`).collection<{ _id: string }>('log');
  const incarnation = ulid().toLowerCase();
  await log.updateOne({ _id: 'log' }, { $set: { incarnation } });
  t.not(before?.incarnation, incarnation);
  await eventually(() => {
    const { positions } = guard.status();
    if (positions.project?.incarnation !== incarnation) throw new Error(JSON.stringify(positions));
  });
  await untilReadLease(guard);
  t.true((await untilRemembered(() => guard.verifyToken(ada.projectToken))).allowed);
});
