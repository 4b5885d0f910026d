import { type MongodSet, startMongodSet } from '@silo/embedded/mongod.ts';
import { required } from '../../harness/environment.ts';
import { type SiloProcesses, startSiloProcesses } from '../../harness/processes.ts';
import { Yardstick } from '../../harness/yardstick.ts';

/**
 * Two token services, one of each other service, three mongod, and a measure of the machine's
 * speed.
 */
export type Cluster = SiloProcesses<MongodSet> & {
  /** Measures how long simple work takes, for the checks of time limits. */
  yardstick: Yardstick;
};

/** Starts a cluster under this lease; disposing stops it and removes its files. */
export async function startCluster(lease: { leaseMs: number; renewMs: number }): Promise<Cluster> {
  await using started = new AsyncDisposableStack();
  const silo = started.use(
    await startSiloProcesses({
      replicas: { token: 2 },
      environment: { LEASE_MS: String(lease.leaseMs), LEASE_RENEW_MS: String(lease.renewMs) },
      startMongodb: (directory) =>
        startMongodSet({
          binary: required('MONGOD_BINARY'),
          directory,
          cacheSizeGB: 0.25,
          enableTestCommands: true,
        }),
    }),
  );
  const yardstick = started.use(await Yardstick.start(silo.mongo));
  const running = started.move();
  return { ...silo, yardstick, [Symbol.asyncDispose]: () => running.disposeAsync() };
}
