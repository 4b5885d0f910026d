import { randomBytes } from 'node:crypto';
import { billingService } from '@silo/billing-service/service.ts';
import { freePort } from '@silo/embedded/ports.ts';
import { BillingServiceClient } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { EventLogServiceClient } from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import { connect, createChannel } from '@silo/rpc/client.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import { type RunningService, startService } from '@silo/service/start.ts';
import { newId } from '@silo/tokens/ids.ts';
import { newApiKey } from '@silo/tokens/secrets.ts';
import { MongoClient } from 'mongodb';
import { certificate } from '../harness/certificates.ts';
import { required } from '../harness/environment.ts';
import { generousLimits } from '../harness/limits.ts';

type LoneService = Pick<RunningService, 'publicAddress' | 'internalAddress'> &
  AsyncDisposable & { drain(): Promise<void> };

/** Billing alone: nobody answers where the other services should be. */
async function startAlone(limits: Partial<typeof generousLimits> = {}): Promise<LoneService> {
  const id = randomBytes(4).toString('hex');
  const tls = certificate('service-billing');
  const nowhere = `127.0.0.1:${await freePort()}`;
  const mongodbUrl = required('MONGODB_URL');
  const mongodbDatabasePrefix = `test_${id}`;
  const stop = new AbortController();
  const anyPort = { host: '127.0.0.1', port: 0 };
  const service = await startService(
    billingService,
    {
      ...{ region: 'us', mongodbUrl, mongodbDatabasePrefix, natsUrl: required('NATS_URL') },
      ...{ natsPasswordFile: undefined, natsTlsCa: undefined },
      ...{ natsStream: `TEST_${id}`, natsSubjectPrefix: `test-${id}.v1` },
      ...{ leaseMs: 5_000, leaseRenewMs: 2_000, leaseDriftShare: 0.01 },
      ...{ signup: 'open', logLevel: 'silent', metricsAddress: undefined },
      ...{ ...generousLimits, ...limits },
      ...{ publicAddress: anyPort, internalAddress: anyPort },
      ...{ tlsCa: tls.ca, tlsCert: tls.cert, tlsKey: tls.key },
      ...{ orgInternalAddress: nowhere, projectInternalAddress: nowhere },
      ...{ tokenInternalAddress: nowhere, billingInternalAddress: nowhere },
    },
    { log: silentLogger(), signal: stop.signal },
  );
  const { publicAddress, internalAddress } = service;
  let drained: Promise<void> | undefined;
  const drain = async () => {
    drained ??= Promise.resolve(service[Symbol.asyncDispose]());
    await drained;
  };
  return {
    publicAddress,
    internalAddress,
    drain,
    [Symbol.asyncDispose]: async () => {
      await drain();
      stop.abort();
      const mongo = new MongoClient(mongodbUrl);
      await mongo.db(`${mongodbDatabasePrefix}_billing`).dropDatabase();
      await mongo.close();
    },
  };
}

/** Asks a service that needs others, and cannot reach them. */
export async function withoutPeers(): Promise<unknown> {
  await using service = await startAlone();
  const { ca } = certificate('staff-operator');
  using channel = createChannel(service.publicAddress, { ca });
  const billing = connect(BillingServiceClient, channel, {
    refusals: true,
    deadlineMs: 20_000,
    metadata: { authorization: `Bearer ${newApiKey()}` },
  });
  return await billing.getSubscription({ organizationId: newId('org_us') });
}

/** Follows the events of a service until it shuts down. */
export async function drainingStream(): Promise<unknown> {
  await using service = await startAlone();
  using channel = createChannel(service.internalAddress, certificate('staff-operator'));
  const eventLog = connect(EventLogServiceClient, channel, { refusals: true });
  const following = eventLog.readEvents({ afterSequence: 0, batchSize: 0, follow: true });
  let draining: Promise<void> | undefined;
  for await (const _ of following) draining ??= service.drain();
  return await draining;
}

/** Asks more than one address may. */
export async function tooManyCalls(): Promise<unknown> {
  await using service = await startAlone({ rateWindowMs: 3_600_000, rateAddressPoints: 10 });
  const { ca } = certificate('staff-operator');
  using channel = createChannel(service.publicAddress, { ca });
  const billing = connect(BillingServiceClient, channel, { refusals: true, deadlineMs: 20_000 });
  for (let call = 0; call < 10; call++) await billing.listPlans({});
  return await billing.listPlans({});
}
