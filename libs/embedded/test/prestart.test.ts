import { execFile } from 'node:child_process';
import { appendFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { temporaryDirectory } from './temporary-directory.ts';

const script = join(import.meta.dirname, '..', 'prestart.mjs');

const lock = {
  packages: {
    '': { name: 'silo' },
    'node_modules/@silo/one': { resolved: 'libs/one', link: true },
    'node_modules/other-platform': { version: '1.0.0', optional: true },
    'node_modules/yauzl': { version: '3.4.0', integrity: 'sha512-a' },
  },
};

/**
 * A repository in which npm is a script that records its arguments and has the effects that
 * prestart checks.
 */
async function setUp(t: ExecutionContext) {
  const repository = await temporaryDirectory(t);
  const calls = join(repository, 'calls');
  const bin = join(repository, 'bin');
  await mkdir(bin);
  await mkdir(join(repository, 'protos'));
  await writeFile(calls, '');
  await writeFile(join(repository, 'protos', 'one.proto'), 'message One {}');
  await writeFile(join(repository, 'package-lock.json'), JSON.stringify(lock));
  const { '': _, 'node_modules/other-platform': __, ...installed } = lock.packages;
  await writeFile(join(repository, 'installed.json'), JSON.stringify({ packages: installed }));
  await writeFile(
    join(bin, 'npm'),
    [
      '#!/bin/sh',
      `echo "$1 $2" >> ${calls}`,
      '[ "$1" = ci ] || exit 0',
      'mkdir -p node_modules/.bin && touch node_modules/.bin/node',
      'cp installed.json node_modules/.package-lock.json',
    ].join('\n'),
    { mode: 0o755 },
  );
  const run = async () => {
    await writeFile(calls, '');
    await promisify(execFile)(process.execPath, [script, repository], {
      env: { ...process.env, PATH: `${bin}:/bin:/usr/bin` },
    });
    return (await readFile(calls, 'utf8')).split('\n').filter(Boolean);
  };
  return { repository, run };
}

const install = 'ci --include=dev';
const generate = 'run generate';

test('whatever is missing is installed and generated, and nothing is done twice', async (t) => {
  const { run } = await setUp(t);
  t.deepEqual(await run(), [install, generate]);
  t.deepEqual(await run(), []);
});

test('a lock file with another version leads to an installation', async (t) => {
  const { repository, run } = await setUp(t);
  await run();
  const changed = JSON.stringify(lock).replace('3.4.0', '3.4.1');
  await writeFile(join(repository, 'package-lock.json'), changed);
  t.true((await run()).includes(install));
});

test('a missing Node in node_modules leads to an installation', async (t) => {
  const { repository, run } = await setUp(t);
  await run();
  await rm(join(repository, 'node_modules', '.bin', 'node'));
  t.deepEqual(await run(), [install]);
});

test('a changed proto leads to a generation, without an installation', async (t) => {
  const { repository, run } = await setUp(t);
  await run();
  await appendFile(join(repository, 'protos', 'one.proto'), 'message Two {}');
  t.deepEqual(await run(), [generate]);
});
