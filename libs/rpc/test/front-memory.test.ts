import { once } from 'node:events';
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  constants,
  createServer,
} from 'node:http2';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { status } from '@grpc/grpc-js';
import { newApiKey } from '@silo/tokens/secrets.ts';
import anyTest from 'ava';
import { untilIs } from '../../../test/harness/eventually.ts';
import {
  publicRequestBytesMax,
  publicWindowBytes,
  requestTimeoutMs,
  untrustedWindowBytes,
} from '../limits.ts';
import { UnadmittedCalls } from '../unadmitted-calls.ts';
import {
  createAccountPath,
  exhausted,
  getAccountPath,
  reflectionPath,
  startPublic,
  watchPath,
} from './front-support.ts';
import { beginCall, framed, outcomeOfRaw } from './raw-client.ts';
import { accountId, fullKey, outcomeOf } from './support.ts';

// The tests count the resources of one port: run one attack at a time.
const test = anyTest.serial;

/** Counts as 256 KiB from its first header on, the size that it may have when decompressed. */
const compressed = (session: ClientHttp2Session) =>
  beginCall(session, getAccountPath, { 'grpc-encoding': 'gzip' });

/** A request that every method accepts: a field of this size that no message has. */
function padding(sizeBytes: number): Buffer {
  const head = new BinaryWriter().uint32((1_000 << 3) | 2).uint32(sizeBytes);
  return Buffer.concat([head.finish(), Buffer.alloc(sizeBytes)]);
}

const largeBytes = 200_000;

test('a large request with a key that is not live is refused before it is read', async (t) => {
  const { attack, accounts } = await startPublic(t);
  const session = await attack();
  const bytes = framed(padding(largeBytes));
  for (const headers of [{}, { authorization: `Bearer ${newApiKey()}` }]) {
    const upload = beginCall(session, getAccountPath, headers);
    const outcome = outcomeOfRaw(upload);
    const sentBytes = session.socket?.bytesWritten ?? 0;
    upload.write(bytes);
    t.is((await outcome).status, String(status.UNAUTHENTICATED));
    t.true((session.socket?.bytesWritten ?? 0) - sentBytes < largeBytes / 2);
  }
  t.is(await outcomeOf(accounts.getAccount({})), 'OK');
});

test('a large request with a key that has not been seen yet is read once the key is found to be live', async (t) => {
  const { attack } = await startPublic(t);
  const session = await attack();
  t.is(session.remoteSettings.initialWindowSize, untrustedWindowBytes);
  const upload = beginCall(session, getAccountPath, { authorization: `Bearer ${fullKey}` });
  upload.end(framed(padding(largeBytes)));
  t.is((await outcomeOfRaw(upload)).status, String(status.OK));
  t.is(session.remoteSettings.initialWindowSize, publicWindowBytes);
  // The window is that of the connection, so that uploads of one client do not wait for each other.
  t.true((session.state.remoteWindowSize ?? 0) > publicWindowBytes);
});

test('a large request with a key that ended itself is read, and does not make its connection trusted', async (t) => {
  const ended = { accountId, keyId: 'key_1', requestKey: Buffer.alloc(32) };
  const { attack } = await startPublic(t, { findEndedKey: async () => ended });
  const session = await attack();
  const headers = { authorization: `Bearer ${newApiKey()}` };
  const upload = beginCall(session, getAccountPath, headers);
  const outcome = outcomeOfRaw(upload);
  upload.end(framed(padding(largeBytes)));
  await once(upload, 'finish');
  // The method has no request_id, so the key cannot repeat its request and is invalid.
  t.is((await outcome).status, String(status.UNAUTHENTICATED));
  t.is(session.remoteSettings.initialWindowSize, untrustedWindowBytes);
});

test('when all connections together exceed the memory limit, those that hold most are closed', async (t) => {
  const { attack, accounts } = await startPublic(t);
  // A well-behaved but slow client, which always holds a little memory.
  const slow = beginCall(await attack('127.0.0.1'), getAccountPath, {
    authorization: `Bearer ${fullKey}`,
  });
  slow.write(Buffer.alloc(1));
  // Each connection stays below its own limit; together they are 27 MiB.
  const sessions = await Promise.all(Array.from({ length: 9 }, () => attack()));
  for (const session of sessions) {
    for (let call = 0; call < 12; call++) {
      compressed(session);
    }
  }
  await untilIs(true, () => sessions.some(({ destroyed }) => destroyed));
  t.is(await outcomeOf(accounts.getAccount({})), 'OK');
  slow.end(Buffer.alloc(4));
  t.is((await outcomeOfRaw(slow)).status, String(status.OK));
});

test('a trusted connection that holds most loses its calls, and stays open', async (t) => {
  const { attack } = await startPublic(t);
  const trusted = await attack('127.0.0.1');
  const known = beginCall(trusted, getAccountPath, { authorization: `Bearer ${fullKey}` });
  known.end(framed(Buffer.alloc(0)));
  t.is((await outcomeOfRaw(known)).status, String(status.OK));
  const lost = Promise.race(Array.from({ length: 14 }, () => outcomeOfRaw(compressed(trusted))));
  const others = await Promise.all(Array.from({ length: 5 }, () => attack()));
  for (const session of others) for (let call = 0; call < 8; call++) compressed(session);
  t.like(await lost, exhausted);
  t.false(trusted.destroyed);
});

test('a request that may become large when decompressed counts as large: its connection loses the call that exceeds its limit', async (t) => {
  const { attack, accounts } = await startPublic(t);
  const session = await attack();
  const ended = Array.from({ length: 20 }, () => outcomeOfRaw(compressed(session)));
  t.like(await Promise.any(ended), exhausted);
  t.is(await outcomeOf(accounts.getAccount({})), 'OK');
});

test('a call that is not admitted in time is rejected, even if its response is not read; Watch has no limit', async (t) => {
  const http2Server = createServer();
  const refused: [path: string | undefined, why: string][] = [];
  using calls = new UnadmittedCalls((stream, path, why) => {
    refused.push([path, why]);
    stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  });
  const connection = {};
  let complete = 0;
  http2Server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    stream.once('end', () => complete++);
    calls.add(stream, connection, headers, publicRequestBytesMax);
    stream.resume();
    stream.respond({ ':status': 200 });
  });
  http2Server.listen(0, '127.0.0.1');
  await once(http2Server, 'listening');
  t.teardown(() => http2Server.close());
  const bound = http2Server.address();
  if (bound === null || typeof bound === 'string') throw new TypeError('it has no port');
  const session = connectHttp2(`http://127.0.0.1:${bound.port}`);
  t.teardown(() => session.destroy());
  const unfinishedCall = beginCall(session, createAccountPath);
  const [unread, watch] = [beginCall(session, reflectionPath), beginCall(session, watchPath)];
  for (const call of [unread, watch]) call.end(framed(Buffer.alloc(0)));
  await Promise.all([unfinishedCall, unread, watch].map((call) => once(call, 'response')));
  await untilIs(2, () => complete);
  const heldBytes = calls.bytes;
  calls.sweep(performance.now());
  t.deepEqual(refused, []);
  calls.sweep(performance.now() + requestTimeoutMs + 1);
  t.deepEqual(refused, [
    [createAccountPath, 'timeout'],
    [reflectionPath, 'timeout'],
  ]);
  t.true(calls.bytes > 0 && calls.bytes < heldBytes);
  watch.close();
  await untilIs(0, () => calls.bytes);
});
