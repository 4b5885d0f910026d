/** The NATS of compose, which requires TLS. */
import { createGuard } from '@silo/guard/create-guard.ts';
import { guardOptions, untilReadLease } from '@silo/guard/test/guard-support.ts';
import test from 'ava';
import { startComposeNats } from '../harness/compose-nats.ts';
import { eventually } from '../harness/eventually.ts';
import { connectToNats } from '../harness/patient-nats.ts';
import { startTestSilo } from '../harness/silo.ts';

test('services and guards use NATS over tls://, each as its own user, to publish and to revoke', async (t) => {
  const nats = await startComposeNats(t);
  const { ca } = nats;
  const place = { natsStream: 'SILO', natsSubjectPrefix: 'silo.v1', natsTlsCa: ca };
  await using silo = await startTestSilo({ ...place, natsUrlOf: (name) => nats.urlOf(name) });

  const subscriber = await connectToNats({ url: nats.urlOf('subscriber'), caFile: ca });
  t.teardown(() => subscriber.close());
  const subjects: string[] = [];
  subscriber.subscribe('silo.v1.>', { callback: (_error, { subject }) => subjects.push(subject) });
  await subscriber.flush();

  const ada = await silo.signUp('Ada');
  const options = guardOptions(silo);
  await using guard = createGuard({
    ...options,
    nats: { url: nats.urlOf('guard'), caFile: ca, subjectPrefix: 'silo.v1' },
  });
  await untilReadLease(guard);
  t.true((await guard.verifyToken(ada.projectToken)).allowed);
  await eventually(() => {
    if (!guard.status().isSubscribed) throw new Error('it is not subscribed');
  });
  const request = { projectId: ada.projectId, expectedFingerprint: '', requestId: '' };
  const { propagation } = await ada.api.projectTokens.regenerateProjectToken(request);
  t.like(propagation, { guards: 5, acknowledged: 5, expired: 0 });
  t.false((await guard.verifyToken(ada.projectToken)).allowed);
  for (const subject of [
    `silo.v1.org.account_created.${ada.account.id}`,
    `silo.v1.project.created.${ada.projectId}`,
    `silo.v1.token.revoked.${ada.projectId}`,
    `silo.v1.billing.subscription_created.${ada.organization.id}`,
  ]) {
    await eventually(() => {
      if (!subjects.includes(subject)) throw new Error(`no ${subject} in ${subjects.join(' ')}`);
    });
  }
});
