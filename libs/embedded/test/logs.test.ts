import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { LogFile } from '../log-file.ts';
import { redactMongodLine } from '../mongod-log.ts';
import { startProcess } from '../processes.ts';
import { waitUntil } from '../wait-until.ts';
import { temporaryDirectory } from './temporary-directory.ts';

test('a log never exceeds about twice its bound, and keeps its end', async (t) => {
  const path = join(await temporaryDirectory(t), 'x.log');
  using log = new LogFile(path, 1_000);
  for (let line = 0; line < 1_000; line++) {
    log.write(`line ${line}`);
    log.rotateIfFull();
    t.true((await stat(path)).size <= 1_000);
  }
  t.true((await stat(`${path}.1`)).size <= 1_000);
  const kept = `${await readFile(`${path}.1`, 'utf8')}${await readFile(path, 'utf8')}`;
  t.regex(kept, /line 998\nline 999\n$/);
  t.regex(log.tail(), /line 999$/);
  for (const file of [path, `${path}.1`]) t.is((await stat(file)).mode & 0o777, 0o600);
});

test('the log of a process that keeps writing is rotated, and later lines are kept', async (t) => {
  const directory = await temporaryDirectory(t);
  const logFile = join(directory, 'x.log');
  await writeFile(logFile, 'a line of a release that let others read the log');
  await chmod(logFile, 0o644);
  const script = [
    'for (let n = 0; ; n++) {',
    '  process.stdout.write("line " + n + "\\n");',
    '  if (n % 100 === 0) await new Promise((go) => setTimeout(go, 5));',
    '}',
  ].join('\n');
  const writer = await startProcess({
    name: 'writer',
    command: process.execPath,
    args: ['--input-type=module', '--eval', script],
    directory,
    logFile,
    logBytesMax: 20_000,
  });
  t.teardown(() => writer.stop({ force: true }));
  const numbersOf = async (file: string) => {
    const text = await readFile(file, 'utf8');
    return [...text.matchAll(/^line (\d+)$/gm)].map((match) => Number(match[1]));
  };
  await waitUntil(
    'two rotations',
    async () => {
      const [first = 0] = await numbersOf(`${logFile}.1`);
      if (first < 4_000) throw new Error(`the previous log begins at ${first}`);
    },
    { withinMs: 300_000 },
  );
  await writer.stop({ force: true });
  t.true((await stat(`${logFile}.1`)).size <= 20_000);
  const numbers = await numbersOf(logFile);
  t.deepEqual(
    numbers,
    [...numbers].sort((a, b) => a - b),
    'no hole of zeros, no disorder',
  );
  t.notRegex(await readFile(logFile, 'utf8'), /\0/);
  t.is((await stat(logFile)).mode & 0o777, 0o600);
});

test('mongod’s log keeps messages about the server', (t) => {
  for (const line of [
    '{"t":{},"s":"I","c":"NETWORK","id":23015,"ctx":"x","msg":"Listening on","attr":{"address":"127.0.0.1"}}',
    'Error parsing command line: unrecognised option',
  ]) {
    t.is(redactMongodLine(line), line);
  }
});

test('mongod’s log loses what clients sent, whichever component logs it', (t) => {
  const command = { find: 'accounts', filter: { email: 'ada@example.com', hash: 'secret' } };
  for (const c of ['COMMAND', 'QUERY', 'WRITE', 'ACCESS', 'INDEX', 'TXN', 'SOMETHING_NEW']) {
    const attr = {
      type: 'command',
      ns: 'silo_org.accounts',
      durationMillis: 7,
      command,
      error: 'secret',
    };
    const redacted = redactMongodLine(JSON.stringify({ s: 'I', c, msg: 'Slow query', attr }));
    t.notRegex(redacted, /ada|secret/);
    t.like(JSON.parse(redacted), {
      ...{ s: 'I', c, msg: 'Slow query' },
      attr: { type: 'command', ns: 'silo_org.accounts', durationMillis: 7, command: '###' },
    });
  }
  t.notRegex(redactMongodLine('{"c":"-","msg":"assertion about ada@example.com"}'), /ada@/);
});

test('mongod’s log loses every e-mail address, and a long word is scanned only once', (t) => {
  const line = (text: string) => `{"c":"-","msg":"${text}"}`;
  for (const [text, redacted] of [
    ['about ada@example.com.', 'about ###'],
    ['of a@b@c.d, b@c.de', 'of ###, ###'],
    ['to=<ada@a.b>', 'to=<###>'],
    ['@a.b a@b a@.b a@b. a.b@c', '@a.b a@b a@.b a@b. a.b@c'],
  ] as const) {
    t.is(redactMongodLine(line(text)), line(redacted));
  }
  // Scanning it again from each character would take days.
  for (const part of ['a', 'a@', 'a@b']) {
    const long = line(`${part.repeat(2 ** 21 / part.length)} ada@example.com`);
    t.false(redactMongodLine(long).includes('ada'));
  }
});
