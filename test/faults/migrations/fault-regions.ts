import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCertificateAuthority } from '@silo/embedded/certificates.ts';
import type { Mongod } from '@silo/embedded/mongod.ts';
import type { Region } from '@silo/tokens/ids.ts';
import { portOf, type SiloProcesses, startSiloProcesses } from '../../harness/processes.ts';
import type { RegionalSilo } from '../../harness/regions.ts';
import type { RestartableServer } from '../../harness/restartable-server.ts';
import { TcpProxy } from '../../harness/tcp-proxy.ts';
import { FailoverSet } from '../failover-set.ts';
import { makeWhole, startFaultMongod } from '../fault-silo.ts';

/** A region whose processes and servers can be killed, and whose link can be interrupted. */
export type FaultRegion = SiloProcesses<RestartableServer<Mongod> | FailoverSet> & RegionalSilo;

/** Two such regions, which know each other. */
export type FaultRegions = AsyncDisposable & { us: FaultRegion; eu: FaultRegion };

/** Short leases: another process takes over from a killed one within a second or two. */
const shortLeases = { LEASE_MS: '2000', LEASE_RENEW_MS: '900' };

type RegionsOptions = {
  /** Replaces the services' main files, by region. */
  main?: Partial<Record<Region, string>>;
  /** Whether each MongoDB is a replica set of three. */
  sets?: boolean;
};

/** Starts both, each with an edge in its project service and a separate one. */
export async function startFaultRegions({
  main = {},
  sets = false,
}: RegionsOptions = {}): Promise<FaultRegions> {
  await using started = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'silo-regions-'));
  started.defer(() => rm(directory, { recursive: true, force: true, maxRetries: 10 }));
  const authority = await openCertificateAuthority(directory, { region: 'us' });
  const prepare = async () => {
    // Its target is known once the region has started.
    const ports: number[] = [];
    return { ports, link: started.use(await TcpProxy.start(ports)) };
  };
  const links = { us: await prepare(), eu: await prepare() };
  const start = async (name: 'us' | 'eu', other: 'us' | 'eu') => {
    const { ports, link } = links[name];
    const silo = started.use(
      await startSiloProcesses<FaultRegion['mongod']>({
        ...{ edges: 1, region: { name, authority }, main: main[name] },
        startMongodb: sets ? (files) => FailoverSet.start(files) : startFaultMongod,
        environment: { ...shortLeases, REGION_ADDRESSES: `${other}=${links[other].link.address}` },
      }),
    );
    ports.push(portOf(silo.internalAddresses.project));
    const [edge] = silo.edges;
    if (edge === undefined) throw new Error('project has no edge');
    return { ...silo, region: name, edgeUrl: edge.url, link };
  };
  const us = await start('us', 'eu');
  const eu = await start('eu', 'us');
  const running = started.move();
  return { us, eu, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** Heals the links, and starts what was killed. */
export async function makeRegionsWhole({ us, eu }: FaultRegions): Promise<void> {
  for (const { link } of [us, eu]) link.heal();
  await Promise.all([makeWhole(us), makeWhole(eu)]);
}
