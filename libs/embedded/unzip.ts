import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import * as yauzl from 'yauzl';

const openZip = promisify<string, yauzl.Options, yauzl.ZipFile>(yauzl.open);

/**
 * Writes one entry of a zip file (a Python wheel is one) to `target`, mode 0755, and nothing else.
 * `fileName` is the last part of the entry's path. Throws when the archive has no such file.
 */
export async function unzipOne(archive: string, fileName: string, target: string): Promise<void> {
  const zip = await openZip(archive, { lazyEntries: true, autoClose: false });
  try {
    const entry = await findEntry(zip, fileName);
    if (!entry) throw new Error(`${archive} holds no ${fileName}`);
    const open = promisify<yauzl.Entry, NodeJS.ReadableStream>((wanted, done) =>
      zip.openReadStream(wanted, done),
    );
    await pipeline(await open(entry), createWriteStream(target, { mode: 0o755 }));
  } finally {
    zip.close();
  }
}

function findEntry(zip: yauzl.ZipFile, fileName: string): Promise<yauzl.Entry | undefined> {
  return new Promise((resolve, reject) => {
    zip.on('error', reject);
    zip.on('end', () => resolve(undefined));
    zip.on('entry', (entry: yauzl.Entry) => {
      if (entry.fileName.split('/').at(-1) === fileName) resolve(entry);
      else zip.readEntry();
    });
    zip.readEntry();
  });
}
