import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NatsUser } from '@silo/embedded/nats-users.ts';
import { readPassword } from '@silo/embedded/passwords.ts';
import type { ExecutionContext } from 'ava';
import { openDeployment, startContainer, untilHealthy } from '../deployment/container.ts';
import { required } from './environment.ts';

/** The NATS of docker-compose.yml, with its users and TLS; it ends with the test. */
export async function startComposeNats(t: ExecutionContext) {
  const directory = await mkdtemp(join(tmpdir(), 'silo-compose-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const { secrets, services, ports } = await openDeployment(directory);
  const service = services.find(({ name }) => name === 'nats');
  if (service === undefined) throw new Error('compose has no NATS');
  const binaries = { natsServer: required('NATS_SERVER_BINARY') };
  const container = await startContainer(service, { directory, binaries, ports });
  t.teardown(() => container.process.stop());
  await container.process.whileRunning((signal) => untilHealthy(container, signal));
  const passwordOf = (user: NatsUser) => readPassword(join(secrets, 'nats/passwords', user)) ?? '';
  const address = `127.0.0.1:${ports.of('nats', 4222)}`;
  return {
    /** PEM file of the CA that signed its certificate. */
    ca: join(secrets, 'certificates', 'ca.pem'),
    passwordOf,
    urlOf: (user: NatsUser, { password = passwordOf(user) } = {}) =>
      `tls://${user}:${password}@${address}`,
  };
}
