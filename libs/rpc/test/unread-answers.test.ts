import { once } from 'node:events';
import {
  type ClientHttp2Stream,
  connect as connectHttp2,
  constants,
  createServer,
  type ServerHttp2Stream,
} from 'node:http2';
import { status } from '@grpc/grpc-js';
import anyTest, { type ExecutionContext } from 'ava';
import { untilIs } from '../../../test/harness/eventually.ts';
import { requestTimeoutMs, unread } from '../limits.ts';
import { UnreadAnswers } from '../unread-answers.ts';
import { exhausted, getAccountPath, startPublic } from './front-support.ts';
import { beginCall, connectRaw, framed, outcomeOfRaw } from './raw-client.ts';
import { accountId, accountService, fullKey, outcomeOf } from './support.ts';

// The tests count the resources of one port: run one attack at a time.
const test = anyTest.serial;

const answerBytes = 2 ** 20;
const large = {
  id: accountId,
  email: 'a@example.com',
  displayName: 'a'.repeat(answerBytes),
  currentProjectId: '',
  createTime: undefined,
  updateTime: undefined,
  etag: '',
};

/** Starts a port with large answers, and clients that do not read them. */
async function start(t: ExecutionContext) {
  let answered = 0;
  const getAccount = async () => {
    answered++;
    return { account: large };
  };
  const port = await startPublic(t, { services: [accountService({ getAccount })] });
  const { tls, server } = port;
  const idle = async () => {
    const settings = { initialWindowSize: 0 };
    const session = await connectRaw({ address: server.address, ca: tls.ca, settings });
    t.teardown(() => session.destroy());
    await once(session, 'remoteSettings');
    const call = () => {
      const stream = beginCall(session, getAccountPath, { authorization: `Bearer ${fullKey}` });
      stream.end(framed(Buffer.alloc(0)));
      return stream;
    };
    // After the first call the connection is trusted, and may have more calls.
    const first = call();
    await once(first, 'response');
    return { session, call, first };
  };
  return { ...port, idle, answered: () => answered };
}

test('a connection that does not read its answers gets no further ones', async (t) => {
  const { idle, accounts } = await start(t);
  const { call } = await idle();
  const calls = Array.from({ length: unread.connectionBytesMax / answerBytes + 4 }, call);
  const refused = calls.map(outcomeOfRaw);
  t.like(await Promise.any(refused), exhausted);
  t.is(await outcomeOf(accounts.getAccount({})), 'OK', 'another client is served');
});

test('if all connections together hold too many unread answers, the one that holds most loses its answers', async (t) => {
  const { idle, accounts } = await start(t);
  const perConnection = (unread.connectionBytesMax * 3) / 4 / answerBytes;
  const lost: Promise<unknown>[] = [];
  for (let held = 0; held <= unread.totalBytesMax; held += perConnection * answerBytes) {
    const { call } = await idle();
    for (let count = 0; count < perConnection; count++) lost.push(resetOf(call()));
  }
  t.is(await Promise.race(lost), constants.NGHTTP2_ENHANCE_YOUR_CALM);
  t.is(await outcomeOf(accounts.getAccount({})), 'OK', 'another client is served');
});

test('answers that were read no longer count, whatever their number', async (t) => {
  const { attack } = await start(t);
  const session = await attack();
  for (let round = 0; round < 5; round++) {
    const outcomes = Array.from({ length: 12 }, () => {
      const stream = beginCall(session, getAccountPath, { authorization: `Bearer ${fullKey}` });
      stream.end(framed(Buffer.alloc(0)));
      return outcomeOfRaw(stream);
    });
    for (const outcome of await Promise.all(outcomes)) t.is(outcome.status, String(status.OK));
  }
});

test('an unread answer is ended in time, a large one later', async (t) => {
  const http2Server = createServer();
  using answers = new UnreadAnswers<ServerHttp2Stream>((stream) => stream.close());
  const large = 10 * 2 ** 20;
  http2Server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    const bytes = headers[':path'] === '/large' ? large : 1;
    stream.respond({ ':status': 200 });
    answers.add(stream, {}, bytes);
  });
  http2Server.listen(0, '127.0.0.1');
  await once(http2Server, 'listening');
  t.teardown(() => http2Server.close());
  const bound = http2Server.address();
  if (bound === null || typeof bound === 'string') throw new TypeError('it has no port');
  const session = connectHttp2(`http://127.0.0.1:${bound.port}`);
  t.teardown(() => session.destroy());
  const calls = ['/small', '/large'].map((path) => beginCall(session, path));
  await Promise.all(calls.map((call) => once(call, 'response')));
  t.true(answers.bytes > large);
  answers.sweep(performance.now() + requestTimeoutMs + 1_000);
  await untilIs(true, () => answers.bytes > 0 && calls[0]?.closed === true);
  t.false(calls[1]?.closed);
  answers.sweep(performance.now() + 100 * requestTimeoutMs);
  await untilIs(0, () => answers.bytes);
});

function resetOf(stream: ClientHttp2Stream): Promise<number | undefined> {
  return new Promise((resolve) => {
    stream.once('close', () => resolve(stream.rstCode));
  });
}
