import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Silo, startSilo } from '@silo/embedded/silo.ts';
import { type Document, MongoClient } from 'mongodb';
import { type Clients, connectClients } from '../harness/clients.ts';
import type { Deployment } from '../invariants/snapshot.ts';

/** Four processes that may be killed, with a mongod and a nats-server of their own. */
export type FaultSilo = AsyncDisposable &
  Clients &
  Deployment & { silo: Silo; failPoints: FailPoints };

/**
 * Starts one. A transaction whose process died is given up by the server after 2 s instead of 60,
 * and with it what it had locked.
 */
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
      mongod: {
        enableTestCommands: true,
        setParameters: { transactionLifetimeLimitSeconds: '2' },
      },
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
    databasePrefix: 'silo',
    natsUrl: endpoints.nats,
    natsStream: 'SILO',
    natsSubjectPrefix: 'silo.v1',
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** Which command of which service is held, and what becomes of it. */
export type Held = {
  service: 'org' | 'project' | 'token' | 'billing';
  command: string;
  /** Only on this collection of the service's. */
  collection?: string;
  /** `lost`: it never reaches the server's hands. `done`: it is done, by then for nobody. */
  outcome: 'lost' | 'done';
};

export type FailPoints = {
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
    hold: async ({ service, command, collection, outcome }) => {
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
        mode: { times: 1 },
        data,
      });
      return {
        entered: async () => {
          await admin.command({
            waitForFailPoint: 'failCommand',
            timesEntered: count + 1,
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
export async function killService(
  { silo }: FaultSilo,
  service: 'org' | 'project' | 'token' | 'billing',
): Promise<void> {
  const { services } = silo;
  services[service].kill('SIGKILL');
  await services[service].exited;
}

/** Starts a killed service again, and returns when it serves. */
export async function reviveService(
  { silo }: FaultSilo,
  service: 'org' | 'project' | 'token' | 'billing',
): Promise<void> {
  await silo.services[service].start();
}
