import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCertificateAuthority } from '@silo/embedded/certificates.ts';
import type { Endpoints } from '@silo/embedded/endpoints.ts';
import { type Silo, startSilo } from '@silo/embedded/silo.ts';
import { choosePorts } from '@silo/embedded/silo-ports.ts';

const regions = ['us', 'eu'] as const;
type Region = (typeof regions)[number];

/** Two whole deployments, which end with this process. */
export type OpenRegions = AsyncDisposable & {
  us: Endpoints;
  eu: Endpoints;
  /** Rejects as soon as one of their processes ended by itself; never resolves. */
  failure: Promise<never>;
};

type Options = {
  log: (line: string) => void;
  signal: AbortSignal;
  /**
   * Directory for their files while they run; default: the system's directory for temporary files.
   */
  parentDirectory?: string;
  /** Settings of their services in addition to the required ones; default: none. */
  settings?: NodeJS.ProcessEnv;
};

/** A region before its start, prepared so that the other one can know it. */
type Prepared = { region: Region; directory: string; address: string; authority: string };

/** Starts both, each with its own MongoDB, NATS and certificate authority. */
export async function openRegions({
  log,
  signal,
  parentDirectory = tmpdir(),
  settings = {},
}: Options): Promise<OpenRegions> {
  await using started = new AsyncDisposableStack();
  const directory = await mkdtemp(join(parentDirectory, 'silo-regions-'));
  started.defer(() => rm(directory, { recursive: true, force: true, maxRetries: 10 }));
  const prepared: Prepared[] = [];
  for (const region of regions) prepared.push(await prepare(join(directory, region), region));
  const failures: Promise<never>[] = [];
  const start = async (own: Prepared): Promise<Silo> => {
    const other = one(prepared, own.region === 'us' ? 'eu' : 'us');
    const silo = await startSilo({
      ...{ directory: own.directory, freePorts: true, signal },
      environment: {
        ...process.env,
        ...settings,
        REGION: own.region,
        REGION_ADDRESSES: `${other.region}=${other.address}`,
        REGION_TLS_CA: other.authority,
      },
      log: (line) => log(`  ${own.region}: ${line}`),
    });
    started.defer(() => silo.stop());
    failures.push(
      silo.failure.then((error): never => {
        throw error;
      }),
    );
    return silo;
  };
  const [us, eu] = [await start(one(prepared, 'us')), await start(one(prepared, 'eu'))];
  const failure = Promise.race(failures);
  failure.catch(() => {}); // its awaiters get the error, and there may be none
  const running = started.move();
  return {
    ...{ us: us.endpoints, eu: eu.endpoints, failure },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

async function prepare(directory: string, region: Region): Promise<Prepared> {
  const certificates = join(directory, 'certificates');
  const { certificateFile } = await openCertificateAuthority(certificates, { region });
  // The chosen ports are stored there for the start.
  const ports = await choosePorts(directory, { free: true, log: () => {} });
  const address = `127.0.0.1:${ports['project internal']}`;
  return { region, directory, address, authority: certificateFile };
}

function one(prepared: readonly Prepared[], region: Region): Prepared {
  const found = prepared.find((each) => each.region === region);
  if (found === undefined) throw new Error(`${region} is not prepared`);
  return found;
}
