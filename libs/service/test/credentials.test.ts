import assert from 'node:assert/strict';
import { connectNats } from '@silo/events/connect.ts';
import { connectMongo, MongoUrlError } from '@silo/mongo/connect.ts';
import { readConfig } from '@silo/runtime/config.ts';
import { createLogger, type Log } from '@silo/runtime/log.ts';
import test from 'ava';
import { eventually } from '../../../test/harness/eventually.ts';
import { serviceConfigSpec } from '../config.ts';

const password = 'hunter2-3f9a';

/** A log that keeps its lines. */
function capture(): { log: Log; text: () => string; written: Promise<void> } {
  const lines: string[] = [];
  const { promise: written, resolve } = Promise.withResolvers<void>();
  const write = (line: string) => {
    lines.push(line);
    resolve();
  };
  const destination = { write };
  const log = createLogger({ service: 'org', region: 'us', level: 'trace', destination });
  return { log, text: () => lines.join(''), written };
}

/** Everything that an error may show: its message, stack, cause and fields. */
function shown(error: unknown): string {
  const { log, text } = capture();
  log.error({ err: error }, String(error));
  const own = error instanceof Error ? `${error.stack} ${error.message} ${error.cause}` : '';
  return `${text()} ${own} ${JSON.stringify(error)}`;
}

test('a login that MongoDB refuses shows no password', async (t) => {
  const url = new URL(process.env.MONGODB_URL ?? '');
  url.password = password;
  const located = { url: url.href, database: 'silo_org', appName: 'test' };
  // Repeated if, on a busy machine, the server did not answer in time.
  await eventually(async () => {
    const error = await t.throwsAsync(connectMongo(located));
    t.regex(shown(error), /DEPENDENCY_UNAVAILABLE|No response in time/);
    t.false(shown(error).includes(password));
    assert.match(shown(error), /Authentication failed/);
  });
});

for (const url of [
  `mongodb://org:${password}@`,
  `mongodb://org:${password}@a/?nonsense=1`,
  `mongodb://org:pa/${password}@a`,
  `mongodb://org:100%${password}@a`,
]) {
  test(`an unusable URL is refused without its password: ${url.replace(password, '…')}`, async (t) => {
    const error = await t.throwsAsync(
      connectMongo({ url, database: 'silo_org', appName: 'test' }),
      { instanceOf: MongoUrlError },
    );
    t.false(shown(error).includes(password));
  });
}

test('a login that NATS refuses is logged, without the password', async (t) => {
  const url = new URL(process.env.NATS_URL ?? '');
  url.password = password;
  const { log, text, written } = capture();
  await using link = connectNats({ url: url.href, name: 'test', log });
  await written;
  t.false(link.connected.value);
  t.regex(text(), /NATS is not reachable/);
  t.false(text().includes(password));
});

test('a password that is not encoded is rejected at the start, without being logged', (t) => {
  for (const [name, value] of [
    ['MONGODB_URL', `mongodb://org:pa/${password}@a`],
    ['NATS_URL', `nats://org:pa@${password}@a`],
  ] as const) {
    const result = readConfig({ [name]: value }, serviceConfigSpec, { isReadable: () => true });
    const faults = 'faults' in result ? result.faults : [];
    t.true(faults.some((fault) => fault.startsWith(`${name} is not a URL that begins with`)));
    t.false(faults.join().includes(password));
  }
});
