import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { HealthClient } from '@silo/protos/gen/grpc/health/v1/health.ts';
import { createChannel } from '@silo/rpc/client.ts';
import type { TlsFiles } from '@silo/rpc/tls.ts';
import type { Deployment } from './deployment.ts';
import type { Facts, Seen } from './facts.ts';

const deadlineMs = 5_000;

/** Checks that project in each other region answers, and that both sides trust each other's CA. */
export async function lookAtRegions({
  regions,
  tls,
}: Pick<Deployment, 'regions' | 'tls'>): Promise<Pick<Facts, 'regions'>> {
  const trusting = { ...tls, ca: tls.regionCa ?? tls.ca };
  const looks = [...regions].map(async ([region, address]) => {
    return { region, address, answer: await lookAt(region, address, trusting) };
  });
  return { regions: await Promise.all(looks) };
}

async function lookAt(region: string, address: string, tls: TlsFiles): Promise<Seen<'answers'>> {
  try {
    using opened = createChannel(address, tls, {}, { region, name: 'project' });
    const { credentials, channel } = opened;
    const client = new HealthClient(address, credentials, { channelOverride: channel });
    await checkHealth(client);
    return { seen: 'answers' };
  } catch (error) {
    const { code, details } = error as Partial<ServiceError>;
    const isAnswer = code !== status.UNAVAILABLE && code !== status.DEADLINE_EXCEEDED;
    // The other region refuses staff of this region; it can only do so over a connection that both
    // sides trust.
    if (code !== undefined && isAnswer) return { seen: 'answers' };
    const reason = details ?? (error instanceof Error ? error.message : String(error));
    return { unseen: `does not answer: ${reason}` };
  }
}

function checkHealth(client: HealthClient): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const options = { deadline: Date.now() + deadlineMs };
  client.check({ service: '' }, new Metadata(), options, (error) =>
    error === null ? resolve() : reject(error),
  );
  return promise;
}
