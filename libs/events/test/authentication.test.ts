import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AuthenticatedMessage } from '@silo/protos/gen/silo/events/internal/v1/authenticated_message.ts';
import { createLogger } from '@silo/runtime/log.ts';
import test from 'ava';
import { IgnoredMessages, messageKey, openMessage, sealMessage } from '../authentication.ts';

const key = messageKey('key', Buffer.alloc(32));
const subject = 'numbered.silo.v1.token';
const payload = Buffer.from('0a00', 'hex');
const find = (keyId: string) => (keyId === key.id ? key.secret : undefined);

test('the MAC equals the one in the protocol’s documentation', async (t) => {
  const page = join(import.meta.dirname, '..', '..', '..', 'docs', 'guard-protocol.md');
  const [, documented = ''] =
    /payload `0a00`, the MAC is `([0-9a-f]{64})`/.exec(await readFile(page, 'utf8')) ?? [];
  const { mac, keyId } = AuthenticatedMessage.decode(sealMessage(key, subject, payload));
  t.is(mac.toString('hex'), documented);
  t.is(keyId, 'key');
});

test('a message is opened only with its key, on its subject and unchanged', (t) => {
  const sealed = sealMessage(key, subject, payload);
  t.deepEqual(openMessage(subject, sealed, find), { keyId: 'key', payload });
  t.is(openMessage('numbered.silo.v1.org', sealed, find), 'wrong_mac');
  t.is(
    openMessage(subject, sealed, () => undefined),
    'unknown_key',
  );
  for (let index = 0; index < sealed.length; index++) {
    const changed = Uint8Array.from(sealed);
    changed[index] = (changed[index] ?? 0) ^ 1;
    t.is(typeof openMessage(subject, changed, find), 'string', `byte ${index}`);
  }
});

test('a MAC of another length is malformed', (t) => {
  for (const size of [0, 31, 33]) {
    const message = { keyId: 'key', payload, mac: Buffer.alloc(size) };
    const bytes = AuthenticatedMessage.encode(message).finish();
    t.is(openMessage(subject, bytes, find), 'malformed');
  }
});

test('an id that is longer than any key id is not looked up, because it might be cached', (t) => {
  const bytes = sealMessage({ ...key, id: 'x'.repeat(1_000_000) }, subject, payload);
  const opened = openMessage(subject, bytes, () => {
    t.fail();
    return undefined;
  });
  t.is(opened, 'malformed');
});

test('every ignored message is counted, and one a minute is logged for each reason', (t) => {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const log = createLogger({ service: 'test', region: 'us', level: 'warn', destination });
  const ignored = new IgnoredMessages(log);
  for (let turn = 0; turn < 100; turn++) ignored.add(subject, 'wrong_mac');
  ignored.add(subject, 'unknown_key');
  t.like(ignored.counts, { wrong_mac: 100, unknown_key: 1, malformed: 0 });
  t.is(lines.length, 2);
});
