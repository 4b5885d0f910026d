import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Mongod, startMongod } from '@silo/embedded/mongod.ts';
import { type NatsServer, startNatsServer } from '@silo/embedded/nats-server.ts';
import { type Silo, startSilo } from '@silo/embedded/silo.ts';
import { type ServiceName, serviceNames } from '@silo/service/config.ts';
import { MongoClient } from 'mongodb';
import { type Clients, connectClients } from '../harness/clients.ts';
import { required } from '../harness/environment.ts';
import { eventually } from '../harness/eventually.ts';
import type { Deployment } from '../invariants/snapshot.ts';
import { type Held, holdCommand, releaseAll } from './fail-points.ts';
import { RestartableServer } from './restartable-server.ts';

/** Four processes that may be killed, with a mongod and a nats-server of their own. */
export type FaultSilo = AsyncDisposable &
  Clients &
  Deployment & {
    silo: Silo;
    mongod: RestartableServer<Mongod>;
    natsServer: RestartableServer<NatsServer>;
  };

/** A transaction whose process died is given up after 5 s, and with it what it had locked. */
const mongodSettings = {
  enableTestCommands: true,
  // Above the time that a held commit takes, however busy the machine.
  setParameters: { transactionLifetimeLimitSeconds: '5' },
} as const;

/** Starts one; disposing stops it and removes what it stored. `main`: other than the services' own. */
export async function startFaultSilo({ main }: { main?: string } = {}): Promise<FaultSilo> {
  const directory = await mkdtemp(join(tmpdir(), 'silo-faults-'));
  await using started = new AsyncDisposableStack();
  started.defer(() => rm(directory, { recursive: true, force: true }));
  const mongod = started.use(
    await RestartableServer.start((port) =>
      startMongod({
        ...mongodSettings,
        binary: required('MONGOD_BINARY'),
        directory: join(directory, 'mongodb'),
        port,
      }),
    ),
  );
  const natsServer = started.use(
    await RestartableServer.start((port) =>
      startNatsServer({
        binary: required('NATS_SERVER_BINARY'),
        directory: join(directory, 'nats'),
        port,
      }),
    ),
  );
  const servers = { mongodb: mongod.access, nats: natsServer.access };
  const silo = started.use(
    await startSilo({
      ...{ directory, servers, freePorts: true, log: () => {} },
      ...(main !== undefined && { main: () => main }),
    }),
  );
  const { ca, staff, services } = silo.endpoints;
  const clients = connectClients(services, { ca, ...staff });
  started.defer(() => clients.close());
  const mongo = started.adopt(new MongoClient(mongod.url), (client) => client.close());
  const running = started.move();
  return {
    ...clients,
    silo,
    mongod,
    natsServer,
    mongo,
    databasePrefix: 'silo',
    natsUrl: natsServer.url,
    natsStream: 'SILO',
    natsSubjectPrefix: 'silo.v1',
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** Nothing held, nobody stopped, all serving: what a test begins with, whatever the last one left. */
export async function makeWhole(silo: FaultSilo): Promise<void> {
  await Promise.all([silo.mongod.start(), silo.natsServer.start()]);
  await releaseAll(silo.mongo);
  for (const name of serviceNames) goOn(silo, name);
  await startDead(silo);
  await Promise.all(serviceNames.map((name) => silo.silo.services[name].untilServing()));
}

/** Starts every service that was killed. */
export async function startDead({ silo }: FaultSilo): Promise<void> {
  const dead = serviceNames.filter((name) => silo.services[name].pid === undefined);
  await Promise.all(dead.map((name) => silo.services[name].start()));
}

/** Ends a service as a power cut would, and returns when it is gone. */
export async function killService({ silo }: FaultSilo, name: ServiceName): Promise<void> {
  silo.services[name].kill('SIGKILL');
  await silo.services[name].exited;
}

/**
 * Calls, waits until the command is held, kills its service, or `killed`, in the middle of it, and
 * lets go. `outcome` never rejects: it tells what became of the call, which may take its time.
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

/** Waits until a service has numbered all its events, so that the next to be numbered is a caller's. */
export async function untilNumbered(silo: FaultSilo, service: ServiceName): Promise<void> {
  const outbox = silo.mongo.db(`silo_${service}`).collection('outbox');
  await eventually(async () => {
    if ((await outbox.countDocuments()) > 0) throw new Error(`${service} still numbers`);
  });
}

/** Waits until the relay has noted that all of a service's events are out. */
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

/** Stops a service where it stands, or lets it go on. */
export function pause({ silo }: FaultSilo, name: ServiceName): void {
  silo.services[name].kill('SIGSTOP');
}

export function goOn({ silo }: FaultSilo, name: ServiceName): void {
  silo.services[name].kill('SIGCONT');
}
