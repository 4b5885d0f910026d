import { once } from 'node:events';
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  constants,
  createServer,
} from 'node:http2';
import { status } from '@grpc/grpc-js';
import anyTest from 'ava';
import { publicRequestBytesMax, requestTimeoutMs } from '../limits.ts';
import { UnadmittedCalls } from '../unadmitted-calls.ts';
import {
  createAccountPath,
  exhausted,
  getAccountPath,
  reflectionPath,
  startPublic,
  unfinished,
  watchPath,
} from './front-support.ts';
import { beginCall, framed, outcomeOfRaw } from './raw-client.ts';
import { eventually, fullKey, outcomeOf } from './support.ts';

// The tests count the resources of one port: run one attack at a time.
const test = anyTest.serial;

test('a connection above its memory limit before admission loses the call that exceeds it', async (t) => {
  const { attack, accounts } = await startPublic(t);
  const session = await attack();
  const uploads = Array.from({ length: 30 }, () => beginCall(session, getAccountPath));
  const ended = uploads.map(async (upload) => {
    const outcome = outcomeOfRaw(upload);
    upload.write(unfinished(publicRequestBytesMax));
    return await outcome;
  });
  t.like(await Promise.any(ended), exhausted);
  t.is(await outcomeOf(accounts.getAccount({})), 'OK');
});

test('when all connections together exceed the memory limit, those that hold most are closed', async (t) => {
  const { attack, accounts } = await startPublic(t);
  // A well-behaved client that is slow: it holds a little memory all the time.
  const slow = beginCall(await attack('127.0.0.1'), getAccountPath, {
    authorization: `Bearer ${fullKey}`,
  });
  slow.write(Buffer.alloc(1));
  // Each connection stays below its own limit; together they are 27 MiB.
  const sessions = await Promise.all(Array.from({ length: 9 }, () => attack()));
  for (const session of sessions) {
    for (let call = 0; call < 12; call++) {
      beginCall(session, getAccountPath).write(unfinished(publicRequestBytesMax));
    }
  }
  await eventually(() => sessions.some(({ destroyed }) => destroyed));
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
  const upload = (session: ClientHttp2Session) => {
    const call = beginCall(session, getAccountPath);
    call.write(unfinished(publicRequestBytesMax));
    return call;
  };
  const lost = Promise.race(Array.from({ length: 14 }, () => outcomeOfRaw(upload(trusted))));
  const others = await Promise.all(Array.from({ length: 5 }, () => attack()));
  for (const session of others) for (let call = 0; call < 8; call++) upload(session);
  t.like(await lost, exhausted);
  t.false(trusted.destroyed);
});

test('a request that may become large when it is decompressed counts as large', async (t) => {
  const { attack } = await startPublic(t);
  const session = await attack();
  const ended = Array.from({ length: 20 }, () =>
    outcomeOfRaw(beginCall(session, getAccountPath, { 'grpc-encoding': 'gzip' })),
  );
  t.like(await Promise.any(ended), exhausted);
});

test('a call that is not admitted in time is rejected, also if its response is not read; Watch has no limit', async (t) => {
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
  await eventually(() => complete === 2);
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
  await eventually(() => calls.bytes === 0);
});
