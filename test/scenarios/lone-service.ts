import { newId } from '@silo/tokens/ids.ts';
import { newApiKey } from '@silo/tokens/secrets.ts';
import { prepareTestSilo } from '../harness/silo.ts';

const patient = { deadlineMs: 20_000 };

/** Calls a service that needs other services and cannot reach them. */
export async function withoutPeers(): Promise<unknown> {
  await using silo = await prepareTestSilo();
  await silo.start('billing');
  const { billing } = silo.as(newApiKey());
  return await billing.getSubscription({ organizationId: newId('org_us') }, patient);
}

/** Follows the events of a service until it shuts down. */
export async function drainingStream(): Promise<unknown> {
  await using silo = await prepareTestSilo();
  await silo.start('billing');
  const { eventLog } = silo.internal().billing;
  const following = eventLog.readEvents({ afterSequence: 0, batchSize: 0, follow: true });
  let draining: Promise<void> | undefined;
  for await (const _ of following) draining ??= silo.stop('billing');
  return await draining;
}

/** Makes more calls than one address may. */
export async function tooManyCalls(): Promise<unknown> {
  await using silo = await prepareTestSilo({ rateWindowMs: 3_600_000, rateAddressPoints: 10 });
  await silo.start('billing');
  const { billing } = silo.as();
  for (let call = 0; call < 10; call++) await billing.listPlans({}, patient);
  return await billing.listPlans({}, patient);
}
