import { type Mongod, startMongod } from '@silo/embedded/mongod.ts';
import type { MongodbAccess } from '@silo/embedded/mongod-users.ts';
import type { ServiceProcess } from '@silo/embedded/service-process.ts';
import type { ServiceName } from '@silo/service/config.ts';
import { required } from '../harness/environment.ts';
import { eventually } from '../harness/eventually.ts';
import {
  type ProcessOptions,
  type SiloProcesses,
  startSiloProcesses,
} from '../harness/processes.ts';
import { RestartableServer } from '../harness/restartable-server.ts';
import { type Held, holdCommand, releaseAll } from './fail-points.ts';

/** One process of each service, with their own mongod and nats-server; all can be killed. */
export type FaultSilo = SiloProcesses<RestartableServer<Mongod>>;

/** The same with any MongoDB whose `start` repairs members that were killed or paused. */
type AnyFaultSilo = SiloProcesses<
  AsyncDisposable & MongodbAccess & { url: string; start(): Promise<void> }
>;

/**
 * Starts one; disposing stops it and removes its files. `main` replaces the services' main files.
 */
export function startFaultSilo(
  options: Pick<ProcessOptions<never>, 'main' | 'edges' | 'environment' | 'region'> = {},
): Promise<FaultSilo> {
  return startSiloProcesses({ ...options, startMongodb: startFaultMongod });
}

/** Options for a mongod with fail points. */
export const failPoints = {
  enableTestCommands: true,
  // The server then ends the transaction of a killed process. Longer than tests hold a commit.
  setParameters: { transactionLifetimeLimitSeconds: '5' },
};

/** Starts a mongod with fail points. */
export function startFaultMongod(directory: string): Promise<RestartableServer<Mongod>> {
  const binary = required('MONGOD_BINARY');
  return RestartableServer.start((port) =>
    startMongod({ ...{ binary, directory, port }, ...failPoints }),
  );
}

/** The processes of all services and edges. */
export function processesOf({
  services,
  edges,
}: Pick<AnyFaultSilo, 'services' | 'edges'>): ServiceProcess[] {
  return [...new Set([...Object.values(services).flat(), ...edges.map((edge) => edge.process)])];
}

/**
 * Releases and resumes everything, and starts killed processes, so that the next test can begin.
 */
export async function makeWhole(silo: AnyFaultSilo): Promise<void> {
  await Promise.all([silo.mongod.start(), silo.natsServer.start()]);
  await releaseAll(silo.mongo);
  for (const service of processesOf(silo)) service.kill('SIGCONT');
  await startDead(silo);
  await Promise.all(processesOf(silo).map((service) => service.untilServing()));
}

/** Starts every service that was killed. */
export async function startDead(silo: AnyFaultSilo): Promise<void> {
  const dead = processesOf(silo).filter(({ pid }) => pid === undefined);
  await Promise.all(dead.map((service) => service.start()));
}

/** Kills a service with SIGKILL and waits until it has exited. */
export async function killService(
  { services }: Pick<AnyFaultSilo, 'services'>,
  name: ServiceName,
): Promise<void> {
  const [service] = services[name];
  service.kill('SIGKILL');
  await service.exited;
}

/**
 * Calls, waits until MongoDB holds the command, kills the command's service (or `killed`), and
 * releases the command. `outcome` never rejects, and settles when the call has ended.
 */
export async function killDuring<T>(
  silo: FaultSilo,
  held: Held,
  call: () => Promise<T>,
  killed: readonly ServiceName[] = [held.service],
): Promise<{ outcome: Promise<PromiseSettledResult<T>> }> {
  const { entered, release } = await holdCommand(silo.mongo, held);
  const outcome = Promise.allSettled([call()]).then(([settled]) => settled);
  try {
    await entered();
    await Promise.all(killed.map((name) => killService(silo, name)));
  } finally {
    await release();
  }
  return { outcome };
}

/**
 * Waits until a service has sequenced all its events, so that the caller's event is the next one.
 */
export async function untilNumbered(silo: FaultSilo, service: ServiceName): Promise<void> {
  const outbox = silo.mongo.db(`silo_${service}`).collection('outbox');
  await eventually(async () => {
    if ((await outbox.countDocuments()) > 0) throw new Error(`${service} still sequences`);
  });
}

/** Waits until the relay has recorded that all events of a service are published. */
export async function untilPublished(silo: FaultSilo, service: ServiceName): Promise<void> {
  const db = silo.mongo.db(`silo_${service}`);
  await eventually(async () => {
    const log = await db.collection('log').findOne();
    const relay = await db.collection('relays').findOne();
    const waiting = await db.collection('outbox').countDocuments();
    if (waiting > 0 || relay?.sequence !== log?.sequence)
      throw new Error(`${service} still relays`);
  });
}

/** Pauses a service. */
export function pause({ services }: FaultSilo, name: ServiceName): void {
  services[name][0].kill('SIGSTOP');
}

/** Resumes a paused service. */
export function resume({ services }: FaultSilo, name: ServiceName): void {
  services[name][0].kill('SIGCONT');
}
