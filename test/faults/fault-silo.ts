import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Silo, startSilo } from '@silo/embedded/silo.ts';
import { type ServiceName, serviceNames } from '@silo/service/config.ts';
import { type Document, MongoClient } from 'mongodb';
import { type Clients, connectClients } from '../harness/clients.ts';
import { eventually } from '../harness/eventually.ts';
import type { Deployment } from '../invariants/snapshot.ts';

/** Four processes that may be killed, with a mongod and a nats-server of their own. */
export type FaultSilo = AsyncDisposable &
  Clients &
  Deployment & { silo: Silo; failPoints: FailPoints; stopped: Set<ServiceName> };

/** A transaction whose process died is given up after 2 s, and with it what it had locked. */
export const mongodSettings = {
  enableTestCommands: true,
  setParameters: { transactionLifetimeLimitSeconds: '2' },
} as const;

/** Starts one; disposing stops it and removes what it stored. */
export async function startFaultSilo(): Promise<FaultSilo> {
  const directory = await mkdtemp(join(tmpdir(), 'silo-faults-'));
  const { MONGODB_URL, NATS_URL, ...environment } = process.env;
  await using started = new AsyncDisposableStack();
  started.defer(() => rm(directory, { recursive: true, force: true }));
  const silo = started.use(
    await startSilo({
      directory,
      environment,
      freePorts: true,
      log: () => {},
      mongod: mongodSettings,
    }),
  );
  const { endpoints } = silo;
  const { ca, staff, services } = endpoints;
  const clients = connectClients(services, { ca, ...staff });
  started.defer(() => clients.close());
  const mongo = started.adopt(new MongoClient(endpoints.mongodb), (client) => client.close());
  const running = started.move();
  return {
    ...clients,
    silo,
    mongo,
    failPoints: failPointsOf(mongo),
    stopped: new Set(),
    databasePrefix: 'silo',
    natsUrl: endpoints.nats,
    natsStream: 'SILO',
    natsSubjectPrefix: 'silo.v1',
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** Which command of which service is held, and what becomes of it. */
export type Held = {
  service: ServiceName;
  command: string;
  /** Only on this collection of the service's. */
  collection?: string;
  /** How many such commands go before it. */
  after?: number;
  /** How many of them are held; 1 unless given. */
  times?: number;
  /** `lost`: it never reaches the server's hands. `done`: it is done, by then for nobody. */
  outcome: 'lost' | 'done';
};

type FailPoints = {
  /** Holds the next such command for `heldMs`; answers how to wait until one is held. */
  hold(held: Held): Promise<{ entered: () => Promise<void> }>;
  clear(): Promise<void>;
};

/** Time enough to kill a process, and less than any deadline of ours. */
const heldMs = 1_500;
const enteredWithinMs = 15_000;

/** MongoDB's own fail points: https://github.com/mongodb/mongo/wiki/The-%22failCommand%22-fail-point */
function failPointsOf(mongo: MongoClient): FailPoints {
  const admin = mongo.db('admin');
  return {
    hold: async ({ service, command, collection, after = 0, times = 1, outcome }) => {
      const data: Document = {
        failCommands: [command],
        appName: `silo-${service}`,
        blockConnection: true,
        blockTimeMS: heldMs,
        ...(collection && { namespace: `silo_${service}.${collection}` }),
        ...(outcome === 'lost' && { closeConnection: true }),
      };
      const { count } = await admin.command({
        configureFailPoint: 'failCommand',
        mode: after === 0 ? { times } : { skip: after },
        data,
      });
      return {
        entered: async () => {
          await admin.command({
            waitForFailPoint: 'failCommand',
            timesEntered: count + after + times,
            maxTimeMS: enteredWithinMs,
          });
        },
      };
    },
    clear: async () => {
      await admin.command({ configureFailPoint: 'failCommand', mode: 'off' });
    },
  };
}

/** Ends a service as a power cut would, and returns when it is gone. */
export async function killService({ silo }: FaultSilo, name: ServiceName): Promise<void> {
  silo.services[name].kill('SIGKILL');
  await silo.services[name].exited;
}

/**
 * Calls, waits until the service's own command is held, kills the service in the middle of it, and
 * answers what became of the call.
 */
export async function killDuring<T>(
  silo: FaultSilo,
  held: Held,
  call: () => Promise<T>,
): Promise<PromiseSettledResult<T>> {
  const { entered } = await silo.failPoints.hold(held);
  const outcome = Promise.allSettled([call()]);
  await entered();
  await killService(silo, held.service);
  // What holds once is over by itself, and to end it early may let a `lost` command through.
  if (held.after !== undefined) await silo.failPoints.clear();
  const [settled] = await outcome;
  return settled;
}

/** Waits until a service has no transaction of its own to commit, so that the next is a caller's. */
export async function untilQuiet(silo: FaultSilo, service: ServiceName): Promise<void> {
  const read = (name: ServiceName, collection: string) =>
    silo.mongo.db(`silo_${name}`).collection(collection).find().toArray();
  await eventually(async () => {
    if ((await read(service, 'outbox')).length > 0) throw new Error(`${service} still numbers`);
    if (service !== 'org') return;
    // Org writes down what it reads of all four logs. Where one is stopped it cannot.
    for (const { _id, ...position } of await read('org', 'activity_positions')) {
      const name = serviceNames.find((each) => each === String(_id)) ?? 'org';
      const [log] = await read(name, 'log');
      const isStopped = silo.stopped.has(name);
      // Its first step takes over the incarnation alone: that, too, is a transaction.
      const isFollowed =
        position.sequence === log?.sequence && position.incarnation === log?.incarnation;
      if (!isStopped && !isFollowed) throw new Error(`org still follows ${name}`);
    }
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
export function pause(silo: FaultSilo, name: ServiceName): void {
  silo.stopped.add(name);
  silo.silo.services[name].kill('SIGSTOP');
}

export function goOn(silo: FaultSilo, name: ServiceName): void {
  silo.stopped.delete(name);
  silo.silo.services[name].kill('SIGCONT');
}
