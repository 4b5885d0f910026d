/** A NATS client without a certificate cannot influence guards or the registry. */
import { randomUUID } from 'node:crypto';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import test, { type ExecutionContext } from 'ava';
import { ulid } from 'ulid';
import { certificate } from '../../../test/harness/certificates.ts';
import { eventually } from '../../../test/harness/eventually.ts';
import { HostileClient } from '../../../test/harness/hostile-client.ts';
import { startTestSilo, type TestSilo } from '../../../test/harness/silo.ts';
import { openGuard, startGuardProcess, untilReadLease, untilRemembered } from './guard-support.ts';

/** Long enough for renewals on a busy machine; some tests wait for a lease to end. */
const leases = { leaseMs: 10_000, leaseRenewMs: 600 };

async function openHostile(t: ExecutionContext, silo: TestSilo): Promise<HostileClient> {
  const hostile = await HostileClient.open(silo.natsUrl, silo.natsSubjectPrefix);
  t.teardown(() => hostile[Symbol.asyncDispose]());
  return hostile;
}

test.serial(
  'a deleted key is refused although a batch with the next sequences was forged',
  async (t) => {
    await using silo = await startTestSilo();
    const ada = await silo.signUp('Ada');
    const guard = openGuard(t, silo);
    await untilReadLease(guard);
    const { projectId } = ada;
    await untilRemembered(() => guard.authorize(ada.apiKey, { projectId }));
    const uses = [
      () => ada.api.accounts.getAccount({}),
      () => ada.api.projects.getProject({ projectId }),
      () => ada.api.apiKeys.listApiKeys({ pageSize: 0, pageToken: '' }),
    ];
    for (let turn = 0; turn < 2; turn++) for (const use of uses) await use();

    const hostile = await openHostile(t, silo);
    const { head } = await silo.internal().token.eventLog.getHead({});
    const { incarnation = '', sequence = 0 } = head ?? {};
    // Repeated, so that every guard certainly receives one of them.
    for (let turn = 0; turn < 3; turn++) {
      await hostile.forgeBatch('token', { incarnation, sequence }, 20);
    }
    const request = { keyId: ada.apiKeyId, etag: '', requestId: randomUUID() };
    await ada.api.apiKeys.deleteApiKey(request);
    for (let turn = 0; turn < 30; turn++) {
      t.false((await guard.authorize(ada.apiKey, { projectId })).allowed);
      for (const use of uses) {
        const refusal = await t.throwsAsync(use());
        t.like(refusal, { reason: ErrorReason.ERROR_REASON_TOKEN_INVALID });
      }
    }
  },
);

test.serial(
  'a revocation waits for a stopped guard even if acknowledgements are copied',
  async (t) => {
    await using silo = await startTestSilo(leases);
    const ada = await silo.signUp('Ada');
    const hostile = await openHostile(t, silo);
    const { child, verify } = startGuardProcess(t, silo);
    await eventually(async () => {
      const answer = await verify(ada.projectToken);
      if (answer !== 'true by memory') throw new Error(answer);
    });
    const regenerate = () =>
      ada.api.projectTokens.regenerateProjectToken({
        ...{ projectId: ada.projectId, expectedFingerprint: '', requestId: '' },
      });
    // Every guard acknowledges this revocation; five of them hold a lease.
    await eventually(async () => {
      const { propagation } = await regenerate();
      if (propagation?.acknowledged !== 5) throw new Error(`${propagation?.acknowledged}`);
    });
    await eventually(() => {
      if (hostile.leases < 5) throw new Error(`${hostile.leases} leases`);
    });
    child.kill('SIGSTOP');
    const forging = setInterval(() => void hostile.raiseAcknowledgements(1_000_000), 20);
    t.teardown(() => clearInterval(forging));
    await hostile.raiseAcknowledgements(1_000_000);
    const { propagation } = await regenerate();
    t.like(propagation, { guards: 5, acknowledged: 4, expired: 1 });
    child.kill('SIGCONT');
  },
);

test.serial('only the certificate that acquired a lease can renew and release it', async (t) => {
  await using silo = await startTestSilo();
  const owner = silo.internal(certificate('service-org')).token.registry;
  const thief = silo.internal(certificate('guard-edge')).token.registry;
  const leaseId = ulid().toLowerCase();
  await owner.acquire({ leaseId, guardName: 'owner' });
  const renewal = { leaseId, applied: [], acknowledged: [] };
  const stolen = await thief.renew(renewal);
  t.is(stolen.result?.$case, 'lost');
  t.is(stolen.keys, undefined);
  await thief.release({ leaseId });
  await t.throwsAsync(thief.acquire({ leaseId, guardName: 'thief' }), {
    message: /lease_id/,
  });
  const renewed = await owner.renew(renewal);
  t.not(renewed.result?.$case, 'lost');
  t.is(renewed.keys?.acknowledgementSecret.length, 32);
});

test.serial(
  'positions of a renewal are accepted only up to what the sources have committed',
  async (t) => {
    await using silo = await startTestSilo(leases);
    const guard = silo.internal(certificate('guard-edge')).token.registry;
    const ada = await silo.signUp('Ada');
    const leaseId = ulid().toLowerCase();
    await guard.acquire({ leaseId, guardName: 'overstating' });
    const { head } = await silo.internal().token.eventLog.getHead({});
    const { incarnation = '', sequence = 0 } = head ?? {};
    const claims = [
      [{ source: 'token', incarnation, sequence: sequence + 1_000_000 }],
      [{ source: 'token', incarnation: 'zzzzzzzzzzzzzzzzzzzzzzzzzz', sequence }],
    ];
    for (const positions of claims) {
      await guard.renew({ leaseId, applied: positions, acknowledged: positions });
    }
    const { propagation } = await ada.api.projectTokens.regenerateProjectToken({
      ...{ projectId: ada.projectId, expectedFingerprint: '', requestId: '' },
    });
    t.like(propagation, { guards: 5, acknowledged: 4, expired: 1 });
  },
);
