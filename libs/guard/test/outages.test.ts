/** What a guard guarantees while parts of the deployment are down. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { ownNatsServer } from '@silo/events/test/support.ts';
import test from 'ava';
import type { SignedUp } from '../../../test/harness/clients.ts';
import { eventually, isLate, untilAnswered } from '../../../test/harness/eventually.ts';
import { machineMs } from '../../../test/harness/machine-clock.ts';
import { startTestSilo, type TestSilo } from '../../../test/harness/silo.ts';
import { millisecondsOf, Yardstick } from '../../../test/harness/yardstick.ts';
import {
  openKnowing,
  remembered,
  startGuardProcess,
  untilReadLease,
  untilRemembered,
} from './guard-support.ts';

/** Short enough for a test to wait for, long enough for renewals on a busy machine. */
const leases = { leaseMs: 6_000, leaseRenewMs: 600 };

/**
 * For a revocation, which cannot be repeated: once it may have committed, only this call shows how
 * long it took.
 */
const patient = { deadlineMs: 120_000 };

async function regenerate(silo: TestSilo, { apiKey, projectId }: SignedUp) {
  const { projectTokens } = silo.once(apiKey);
  const request = { projectId, expectedFingerprint: '', requestId: randomUUID() };
  const { projectToken, propagation } = await untilAnswered(
    () => projectTokens.regenerateProjectToken(request, patient),
    isLate,
  );
  const ms = millisecondsOf(propagation?.elapsed);
  return { ...propagation, token: projectToken?.token ?? '', ms };
}

test.serial(
  'while the owners are down, memory answers; without the registry nothing is answered',
  async (t) => {
    await using silo = await startTestSilo(leases);
    const { ada, guard } = await openKnowing(t, silo);
    await untilRemembered(() => guard.authorize(ada.apiKey, { projectId: ada.projectId }));
    await Promise.all([silo.stop('org'), silo.stop('project')]);
    // From memory, once there is a read lease, whatever pauses the machine makes.
    const { projectId } = ada;
    t.true((await untilRemembered(() => guard.verifyToken(ada.projectToken))).allowed);
    t.true((await untilRemembered(() => guard.authorize(ada.apiKey, { projectId }))).allowed);
    await silo.stop('token');
    await eventually(() => {
      if (guard.status().hasReadLease) throw new Error('it still has a read lease');
    });
    t.is(remembered(guard.verifyToken(ada.projectToken)), undefined);
    await t.throwsAsync(async () => guard.verifyToken(ada.projectToken));
    await t.throwsAsync(guard.permit(ada.apiKey, { projectId: ada.projectId }), {
      message: /No response in time/,
    });
    await Promise.all([silo.start('token'), silo.start('org'), silo.start('project')]);
    await untilReadLease(guard);
    t.true(remembered(guard.verifyToken(ada.projectToken))?.allowed, 'no fact is lost');
  },
);

test.serial('without NATS a revocation still takes effect, by renewals', async (t) => {
  const nats = await ownNatsServer(t);
  await using silo = await startTestSilo({ ...leases, natsUrl: nats.url });
  const { ada, guard } = await openKnowing(t, silo);
  await nats.kill();
  await using yardstick = await Yardstick.start(silo.mongo);
  const fromMs = machineMs();
  const first = await regenerate(silo, ada);
  t.false((await guard.verifyToken(ada.projectToken)).allowed);
  const roundMs = yardstick.longestMs(fromMs, machineMs());
  t.true(first.ms < leases.leaseMs + 50 * roundMs, `${first.ms} ms, a round takes ${roundMs}`);
  t.true((await untilRemembered(() => guard.verifyToken(first.token))).allowed);
  await nats.start();
  await eventually(() => {
    if (!guard.status().isSubscribed) throw new Error('it is not subscribed');
  });
  const second = await regenerate(silo, ada);
  t.false((await guard.verifyToken(first.token)).allowed);
  t.is(second.expired, 0);
});

test.serial(
  'a stopped guard delays one revocation by a lease, and accepts nothing later',
  async (t) => {
    await using silo = await startTestSilo(leases);
    const ada = await silo.signUp('Ada');
    const { child, verify } = startGuardProcess(t, silo);
    await eventually(async () => {
      const answer = await verify(ada.projectToken);
      if (answer !== 'true by memory') throw new Error(answer);
    });
    await using yardstick = await Yardstick.start(silo.mongo);
    const fromMs = machineMs();
    child.kill('SIGSTOP');
    const first = await regenerate(silo, ada);
    const roundMs = yardstick.longestMs(fromMs, machineMs());
    t.is(first.expired, 1);
    t.true(first.ms < leases.leaseMs + 50 * roundMs, `${first.ms} ms, a round takes ${roundMs}`);
    await eventually(async () => {
      const { guards, expired } = await regenerate(silo, ada);
      if (expired !== 0) throw new Error(`${expired} of ${guards} guards did not answer`);
    });
    child.kill('SIGCONT');
    await eventually(async () => {
      const answer = await verify(ada.projectToken);
      t.false(answer.startsWith('true'), answer);
      if (answer !== 'false by owners') throw new Error(answer);
    });
    child.kill('SIGTERM');
    await once(child, 'exit');
  },
);

test.serial(
  'when a replica of the registry ends, guards keep their read leases, and revocations work',
  async (t) => {
    // On a busy machine, connecting to the other replica takes seconds.
    const long = { leaseMs: 20_000, leaseRenewMs: 1_000 };
    await using silo = await startTestSilo(long);
    const { ada, guard } = await openKnowing(t, silo);
    await silo.startSecondToken();
    await silo.stop('token');
    const endsMs = performance.now() + 1.2 * long.leaseMs;
    await eventually(() => {
      t.true(remembered(guard.verifyToken(ada.projectToken))?.allowed, 'throughout');
      if (performance.now() < endsMs) throw new Error('still looking');
    });
    const { projects } = silo.once(ada.apiKey);
    const request = { projectId: ada.projectId, etag: '', requestId: randomUUID() };
    const { propagation } = await untilAnswered(
      () => projects.deleteProject(request, patient),
      isLate,
    );
    t.is(propagation?.expired, 0);
    t.false((await guard.verifyToken(ada.projectToken)).allowed);
  },
);
