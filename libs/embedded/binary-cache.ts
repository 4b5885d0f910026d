import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { compareVersions, parseVersion, type Version } from './versions.ts';

/** A binary in the cache: `<directory>/<name>/<version>/<name>`, with its SHA-256 beside it. */
export interface CachedBinary {
  path: string;
  version: Version;
}

/** The cached binaries of a program, newest first. */
export async function listCached(directory: string, name: string): Promise<CachedBinary[]> {
  const entries = await readdir(join(directory, name)).catch(() => []);
  return entries
    .filter((entry) => /^\d+\.\d+\.\d+$/.test(entry))
    .flatMap((entry) => {
      const version = parseVersion(entry);
      return version ? [{ version, path: join(directory, name, entry, name) }] : [];
    })
    .sort((left, right) => compareVersions(right.version, left.version));
}

/** Throws if the file differs from what was stored. */
export async function verifyCached({ path }: CachedBinary): Promise<void> {
  const expected = (await readFile(`${path}.sha256`, 'utf8').catch(() => '')).trim();
  if (!expected) throw new Error(`${path} has no checksum beside it`);
  if ((await sha256OfFile(path)) !== expected) {
    throw new Error(`${path} does not match its checksum`);
  }
}

/**
 * Whether the file is unchanged since `noteProven` on this machine. Then it need not be hashed and
 * run again, which takes a large part of a start.
 */
export async function isProven({ path }: CachedBinary): Promise<boolean> {
  const noted = await readFile(`${path}.proven`, 'utf8').catch(() => undefined);
  return noted !== undefined && noted === (await identityOf(path));
}

/**
 * Records that the file matches its checksum and runs on this machine, unless the cache is
 * read-only.
 */
export async function noteProven({ path }: CachedBinary): Promise<void> {
  await writeFile(`${path}.proven`, await identityOf(path)).catch(() => {});
}

/** An identity that changes whenever the file is written or replaced. */
async function identityOf(path: string): Promise<string> {
  const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
  return [hostname(), ino, size, mtimeNs, ctimeNs].join(' ');
}

/** Creates an empty directory inside the cache, so that moving a file out of it is a rename. */
export async function makeWorkDirectory(directory: string, name: string): Promise<string> {
  const work = join(directory, name, `.work-${process.pid}-${randomUUID()}`);
  await mkdir(work, { recursive: true });
  return work;
}

/**
 * Moves a verified binary into the cache atomically. If another process was faster, its copy is
 * used if it is intact, and replaced otherwise.
 */
export async function storeCached(
  directory: string,
  name: string,
  version: Version,
  file: string,
): Promise<CachedBinary> {
  const stored = { version, path: join(directory, name, version.text, name) };
  const draft = await makeWorkDirectory(directory, name);
  const target = join(directory, name, version.text);
  try {
    await rename(file, join(draft, name));
    await chmod(join(draft, name), 0o755);
    await writeFile(join(draft, `${name}.sha256`), `${await sha256OfFile(join(draft, name))}\n`);
    for (let attempt = 1; ; attempt += 1) {
      try {
        await rename(draft, target);
        return stored;
      } catch (error) {
        if (attempt === 3) throw error;
      }
      if (await isSound(stored)) return stored;
      const broken = join(directory, name, `.work-${process.pid}-${randomUUID()}`);
      await rename(target, broken).catch(() => {});
      await rm(broken, { recursive: true, force: true });
    }
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function isSound(binary: CachedBinary): Promise<boolean> {
  return verifyCached(binary).then(
    () => true,
    () => false,
  );
}

async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash);
  return hash.digest('hex');
}
