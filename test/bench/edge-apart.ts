import { join, resolve } from 'node:path';
import type { Mongod } from '@silo/embedded/mongod.ts';
import type { NatsServer } from '@silo/embedded/nats-server.ts';
import { freePort } from '@silo/embedded/ports.ts';
import { ServiceProcess } from '@silo/embedded/service-process.ts';
import type { Silo } from '@silo/embedded/silo.ts';
import type { TlsFiles } from '@silo/rpc/tls.ts';
import { serviceNames } from '@silo/service/config.ts';

const repository = resolve(import.meta.dirname, '..', '..');

/** An HTTP edge in a separate process. */
export type EdgeApart = AsyncDisposable & { url: string; pid: number };

/** The servers and certificates of the services that it belongs to. */
export type EdgeApartOptions = {
  silo: Silo;
  mongod: Mongod;
  nats: NatsServer;
  environment: NodeJS.ProcessEnv;
  tls: TlsFiles;
  staff: TlsFiles;
  directory: string;
};

/** Starts the project service with `ROLE=edge`, and returns when it serves. */
export async function startEdgeApart(options: EdgeApartOptions): Promise<EdgeApart> {
  const { silo, mongod, nats, environment, tls, staff, directory } = options;
  const addresses: string[] = [];
  while (addresses.length < 3) addresses.push(`127.0.0.1:${await freePort()}`);
  const [publicAddress = '', internalAddress = '', edgeAddress = ''] = addresses;
  const { services } = silo.endpoints;
  const peers = serviceNames.map((name) => [
    `${name.toUpperCase()}_INTERNAL_ADDRESS`,
    services[name].internal,
  ]);
  const edge = new ServiceProcess({
    // Its service for the parent, whose memory settings depend on the name.
    name: 'project',
    main: join(repository, 'services', 'project', 'main.ts'),
    workingDirectory: repository,
    directory: join(directory, 'edge'),
    logFile: join(directory, 'logs', 'edge.log'),
    ...{ publicAddress, internalAddress, ca: tls.ca },
    staff: { certificate: staff.cert, key: staff.key },
    onUnexpectedExit: (error) => console.error(error),
    environment: {
      ...environment,
      ...Object.fromEntries(peers),
      ...{ ROLE: 'edge', EDGE_ADDRESS: edgeAddress },
      ...{ PUBLIC_ADDRESS: publicAddress, INTERNAL_ADDRESS: internalAddress },
      MONGODB_URL: mongod.urlOf('project'),
      NATS_URL: nats.urlOf('project'),
      ...{ TLS_CA: tls.ca, TLS_CERT: tls.cert, TLS_KEY: tls.key },
    },
  });
  try {
    await edge.start();
    const { pid } = edge;
    if (pid === undefined) throw new TypeError('it does not run');
    return { url: `http://${edgeAddress}`, pid, [Symbol.asyncDispose]: () => edge.stop() };
  } catch (error) {
    await edge.stop();
    throw error;
  }
}
