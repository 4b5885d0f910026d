/**
 * Slow clients and too many clients of the HTTP edge, and the memory that they hold, without a
 * database.
 */
import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import type { TokenPermitAnswer } from '@silo/access/access.ts';
import { errors } from '@silo/errors/errors.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { ProjectFact } from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import { defaultLimits } from '@silo/rpc/limits.ts';
import { systemClock } from '@silo/runtime/clock.ts';
import { newProjectToken } from '@silo/tokens/secrets.ts';
import test, { type ExecutionContext } from 'ava';
import { eventually } from '../../../test/harness/eventually.ts';
import {
  connectTo,
  dead,
  drip,
  ended,
  host,
  type Insert,
  live,
  open,
  post,
} from './edge-support.ts';

const slow =
  /^HTTP\/1\.1 503 [\s\S]*Retry-After: 1\r\n[\s\S]*Connection: close\r\n[\s\S]*REQUEST_TIMEOUT/;

test('a client whose headers take too long gets 503 with Retry-After, and its connection is closed', async (t) => {
  const { port } = await open(t, { times: { headersMs: 200 } });
  const { socket, seen } = connectTo(t, port);
  socket.write('POST /batch/ HTTP/1.1\r\nX: ');
  drip(t, socket, 'x');
  t.regex(await ended(seen), slow);
  await eventually(() => {
    if (!seen.isClosed) throw new Error('it is open');
  });
});

test('a client whose body takes too long gets 503 with Retry-After, and its memory is released', async (t) => {
  // A slow machine must read the origin in the headers before the time is over.
  const { port, heldBytes } = await open(t, { times: { requestMs: 2_000, headersMs: 2_000 } });
  const { socket, seen } = connectTo(t, port);
  const part = ' '.repeat(1_000_000);
  socket.write(
    `POST /batch/ HTTP/1.1\r\nHost: ${host}\r\nOrigin: https://app.example.com\r\n` +
      `Content-Length: ${2 * part.length}\r\n\r\n`,
  );
  socket.write(part);
  drip(t, socket, ' ');
  const answer = await ended(seen);
  t.regex(answer, slow);
  t.regex(answer, /^Access-Control-Allow-Origin: https:\/\/app\.example\.com\r$/m);
  t.regex(answer, /^Access-Control-Allow-Credentials: true\r$/m);
  await eventually(async () => {
    const held = await heldBytes();
    if (held > 0) throw new Error(`${held} bytes are held`);
  });
  // The client keeps sending, and does not end its side.
  await eventually(() => {
    if (!seen.isClosed) throw new Error('it is open');
  });
});

/** A permit that never expires. */
const permitted: Extract<TokenPermitAnswer, { allowed: true }> = {
  ...{ allowed: true, projectId: 'prj_1', organizationId: 'org_1' },
  project: ProjectFact.fromPartial({}),
  permit: { release: () => {}, remainingMs: () => 300_000 },
};

test('a request that gets 503 holds its memory while its events are still being stored', async (t) => {
  const text = 'x'.repeat(100_000);
  const body = JSON.stringify({
    ...{ api_key: 'phc_1', event: 'seen', distinct_id: 'ada', properties: { text } },
  });
  const storing = Promise.withResolvers<boolean[][]>();
  const capture = async (waitMs: number) => {
    let isStoring = false;
    const insert = () => {
      isStoring = true;
      return storing.promise;
    };
    const permitToken = async () => permitted;
    const edge = await open(t, { times: { waitMs }, permitToken, insert });
    const url = `http://${host}:${edge.port}/capture`;
    const { status } = await fetch(url, { method: 'POST', body });
    t.is(status, 503);
    return { ...edge, isStoring };
  };
  let waitMs = 100;
  let captured = await capture(waitMs);
  // On a busy machine the deadline may pass before the events are to be stored.
  while (!captured.isStoring && waitMs < 60_000) {
    waitMs *= 2;
    captured = await capture(waitMs);
  }
  const { heldBytes } = captured;
  t.true((await heldBytes()) > text.length);
  storing.resolve([[false]]);
  await eventually(async () => {
    const held = await heldBytes();
    if (held > 0) throw new Error(`${held} bytes are held`);
  });
});

/** The text of events that take many times its memory when they are parsed. */
const tiny = (count: number) => `{"event":"seen","distinct_id":"ada"}${',{}'.repeat(count - 1)}`;

test('a body of many events is parsed only after its token is confirmed, and its memory is then counted', async (t) => {
  const confirming = Promise.withResolvers<TokenPermitAnswer>();
  let isConfirming = false;
  const permitToken = () => {
    isConfirming = true;
    return confirming.promise;
  };
  const storing = Promise.withResolvers<boolean[][]>();
  let isStoring = false;
  const insert = () => {
    isStoring = true;
    return storing.promise;
  };
  const { port, heldBytes } = await open(t, { permitToken, insert });
  const count = 20_000;
  const body = `{"batch":[${tiny(count)}],"api_key":"${newProjectToken()}"}`;
  const answered = post(port, '/batch', body);
  await eventually(() => assert.ok(isConfirming));
  t.true((await heldBytes()) < body.length + 10_000);
  confirming.resolve(permitted);
  await eventually(() => assert.ok(isStoring));
  t.true((await heldBytes()) > body.length + 100 * count);
  storing.resolve([[false]]);
  t.deepEqual(await answered, [200, undefined]);
});

test('a large body waits until its token is confirmed, and is refused if the token is dead', async (t) => {
  const busy = errors.dependencyUnavailable('the access registry');
  // The second permit confirms the token; each capture of at most 1,000 events has its own.
  const answers = [busy, permitted, permitted, permitted];
  const permitToken = async () => {
    const answer = answers.shift() ?? dead;
    if (answer instanceof Error) throw answer;
    return answer;
  };
  let stored = 0;
  const insert: Insert = async (batches) =>
    batches.map(({ events }) => {
      stored += events.length;
      return events.map(() => false);
    });
  const { port } = await open(t, { permitToken, insert });
  const event = { event: 'seen', distinct_id: 'ada' };
  const events = JSON.stringify(Array.from({ length: 1_001 }, () => event));
  const body = `{"batch":${events},"api_key":"${newProjectToken()}"}`;
  t.deepEqual(await post(port, '/batch', body), [200, undefined]);
  t.is(stored, 1_001);
  t.deepEqual(await post(port, '/batch', body), [401, 'TOKEN_INVALID']);
  t.is(stored, 1_001);
});

test('the token of a body without events is confirmed, and refused if it is dead', async (t) => {
  const answers = [permitted, dead];
  const { port } = await open(t, { permitToken: async () => answers.shift() ?? dead });
  const body = `{"batch":[],"api_key":"${newProjectToken()}"}`;
  t.deepEqual(await post(port, '/batch', body), [200, undefined]);
  t.deepEqual(await post(port, '/batch', body), [401, 'TOKEN_INVALID']);
});

test('the header PostHog-Request-Timestamp is the time of a body without sent_at', async (t) => {
  const times: Date[] = [];
  const insert: Insert = async (batches) =>
    batches.map(({ events }) => events.map(({ time }) => times.push(time) === 0));
  const { port } = await open(t, { permitToken: async () => permitted, insert });
  const hourMs = 3_600_000;
  // The clock of the SDK is an hour behind.
  const timestamp = new Date(Date.now() - hourMs).toISOString();
  for (const headers of [{ 'PostHog-Request-Timestamp': timestamp }, {}]) {
    const { status } = await fetch(`http://${host}:${port}/i/v1/analytics/events`, {
      method: 'POST',
      body: JSON.stringify({ batch: [{ event: 'seen', distinct_id: 'ada', timestamp }] }),
      headers: { ...headers, authorization: `Bearer ${newProjectToken()}` },
    });
    t.is(status, 200);
  }
  const [corrected, asSent] = times.map((time) => time.getTime() - Date.parse(timestamp));
  t.true(corrected !== undefined && corrected >= hourMs);
  t.is(asSent, 0);
});

test('a body of more than 100,000 events is refused, and one that would take 128 MiB is not parsed', async (t) => {
  const { port } = await open(t);
  const dense = `[${',{}'.repeat(1_500_000).slice(1)}]`;
  for (const body of [
    `[${tiny(100_001)}]`,
    `{"batch":[${tiny(100_001)}]}`,
    dense,
    `{"event":"seen","properties":{"dense":${dense}}}`,
  ]) {
    t.deepEqual(await post(port, '/batch', gzipSync(body)), [400, 'INVALID_BODY']);
  }
  t.deepEqual(await post(port, '/flags', gzipSync(dense)), [400, 'INVALID_BODY']);
});

test('large bodies without a valid token use up the points of their address, and then are not unpacked', async (t) => {
  const good = newProjectToken();
  const rates = { ...defaultLimits.rates, windowMs: 3_600_000, addressPoints: 400 };
  const { port } = await open(t, {
    limits: { rates },
    recallToken: (token) => (token === good ? permitted : undefined),
    permitToken: async () => permitted,
    insert: async (batches) => batches.map(({ events }) => events.map(() => false)),
  });
  const spaces = ' '.repeat(2 ** 20);
  for (let count = 1; count <= 2; count++) {
    t.deepEqual(await post(port, '/batch', gzipSync(`[${spaces}]`)), [401, 'TOKEN_INVALID']);
  }
  for (const path of ['/batch', '/flags']) {
    for (const body of [`[${spaces}]`, gzipSync(`[${spaces}]`), gzipSync(spaces)]) {
      t.deepEqual(await post(port, path, body), [503, 'RATE_LIMITED']);
    }
  }
  t.deepEqual(await post(port, '/batch', '[]'), [401, 'TOKEN_INVALID'], 'a small body');
  const other = await post(port, '/batch', gzipSync(`[${spaces}]`), '127.0.0.2');
  t.deepEqual(other, [401, 'TOKEN_INVALID'], 'from another address');
  const batch = `{"api_key":"${good}","batch":[${spaces}${tiny(1)}]}`;
  const asInPython = `{"batch":[${spaces}${tiny(1)}],"sent_at":"","api_key":"${good}"}`;
  for (const body of [batch, gzipSync(batch), asInPython]) {
    t.deepEqual(await post(port, '/batch', body), [200, undefined], 'with a valid token');
  }
  const inVain = `{"api_key":"${good}",${spaces}}`;
  for (let count = 1; count <= 2; count++) {
    t.deepEqual(await post(port, '/batch', inVain), [400, 'INVALID_BODY']);
  }
  t.deepEqual(
    await post(port, '/batch', batch),
    [503, 'RATE_LIMITED'],
    'bodies with a valid token also use points',
  );
});

test('a body above the rate of its project waits, unless it needs most of the memory for waiting', async (t) => {
  const openWith = async (windowMs: number) => {
    const rates = { ...defaultLimits.rates, windowMs, projectCaptures: 1 };
    const permitToken = async () => permitted;
    const insert: Insert = async (batches) => batches.map(({ events }) => events.map(() => false));
    const { port } = await open(t, { limits: { rates }, permitToken, insert });
    return (size: number) => post(port, '/batch', oneEvent('phc_1', size));
  };
  const soon = await openWith(1_000);
  t.deepEqual(await soon(1), [200, undefined]);
  t.deepEqual(await soon(1), [200, undefined], 'in the next window');
  const late = await openWith(3_600_000);
  t.deepEqual(await late(1), [200, undefined]);
  t.deepEqual(await late(13 * 2 ** 20), [503, 'RATE_LIMITED']);
});

/** A body of one event, enlarged by this number of bytes. */
function oneEvent(token: string, bytes: number): string {
  return `{"api_key":"${token}","batch":[${' '.repeat(bytes)}${tiny(1)}]}`;
}

/** An edge for projects that are cut over until they are released. */
async function openHolding(t: ExecutionContext) {
  const looks = new Map<string, number>();
  let isHolding = true;
  const answerTo = (token: string): TokenPermitAnswer =>
    isHolding ? cutOver : { ...permitted, projectId: token };
  const permitToken = async (token: string) => {
    looks.set(token, (looks.get(token) ?? 0) + 1);
    return answerTo(token);
  };
  const insert: Insert = async (batches) => batches.map(({ events }) => events.map(() => false));
  const edge = await open(t, { recallToken: answerTo, permitToken, insert });
  /** Sends a small capture. Resolves with its pending response when it waits. */
  const beginWaiting = async (token: string) => {
    const sent = { answer: post(edge.port, '/batch', oneEvent(token, 1)) };
    // A second attempt shows that the capture was refused, and waits.
    await Promise.race([
      sent.answer,
      eventually(() => assert.ok((looks.get(token) ?? 0) >= 2, 'it does not wait')),
    ]);
    return sent;
  };
  const release = () => {
    isHolding = false;
  };
  return { ...edge, beginWaiting, release };
}

const cutOver: TokenPermitAnswer = {
  allowed: false,
  refusal: { reason: ErrorReason.ERROR_REASON_NOT_READY, detail: '' },
};

test('a project whose captures fill its memory for waiting gets 503; those of another project are stored', async (t) => {
  const { port, beginWaiting, release } = await openHolding(t);
  const reasons: unknown[] = [];
  const many = Array.from({ length: 12 }, async () => {
    const [status, reason] = await post(port, '/batch', oneEvent('phc_1', 2 ** 20));
    if (status !== 200) reasons.push(reason);
    return status;
  });
  await eventually(() => assert.equal(reasons.length, 4));
  const other = await beginWaiting('phc_2');
  release();
  t.deepEqual(await other.answer, [200, undefined]);
  const stored = (await Promise.all(many)).filter((status) => status === 200);
  t.is(stored.length, 8, '1 MiB each: half of the memory for waiting');
  t.deepEqual(
    reasons,
    Array.from({ length: 4 }, () => 'NOT_READY'),
  );
});

test('slow bodies do not end the waiting of a project that is cut over', async (t) => {
  const { port, heldBytes, beginWaiting, release } = await openHolding(t);
  const part = ' '.repeat(10 * 2 ** 20);
  for (let count = 1; count <= 2; count++) {
    const { socket } = connectTo(t, port, '127.0.0.2');
    const length = `Content-Length: ${part.length + 1}`;
    socket.write(`POST /batch/ HTTP/1.1\r\nHost: ${host}\r\n${length}\r\n\r\n${part}`);
  }
  await eventually(async () => assert.ok((await heldBytes()) > 2 * part.length));
  const waiting = await beginWaiting('phc_1');
  release();
  t.deepEqual(await waiting.answer, [200, undefined]);
});

/** A client that sends a body of 100,000 refused events to v1 and does not read the response. */
async function sendUnread(t: ExecutionContext, clock = systemClock) {
  const edge = await open(t, { clock, permitToken: async () => permitted });
  const { socket, seen } = connectTo(t, edge.port);
  socket.pause();
  const token = newProjectToken();
  const body = gzipSync(`{"batch":[${'1,'.repeat(99_999)}1],"api_key":"${token}"}`);
  t.true(body.length < 1_000);
  const path = '/i/v1/analytics/events';
  socket.write(`POST ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${body.length}\r\n\r\n`);
  socket.write(body);
  const answerBytesMin = 5_000_000;
  await eventually(async () => {
    const held = await edge.heldBytes();
    assert.ok(held > answerBytesMin && held < 2 * answerBytesMin, `${held} bytes are held`);
  });
  const untilFree = () =>
    eventually(async () => {
      const held = await edge.heldBytes();
      assert.ok(held === 0, `${held} bytes are held`);
    });
  return { socket, seen, untilFree };
}

test('a response holds memory until its client has read it', async (t) => {
  const { socket, seen, untilFree } = await sendUnread(t);
  socket.resume();
  await untilFree();
  await eventually(() => assert.ok(seen.text.endsWith('}}}')));
  t.regex(seen.text, /^HTTP\/1\.1 200 /);
});

test('a response holds memory until the connection of its client ends', async (t) => {
  const { socket, untilFree } = await sendUnread(t);
  socket.destroy();
  await untilFree();
  t.pass();
});

test('a client that does not read its response in time loses its connection', async (t) => {
  let laterMs = 0;
  const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + laterMs };
  const { socket, seen, untilFree } = await sendUnread(t, clock);
  laterMs = 30_000 + (7_000_000 / 16_384) * 1_000;
  await untilFree();
  socket.resume();
  await eventually(() => assert.ok(seen.isEnded || seen.isClosed));
  t.false(seen.text.endsWith('}}}'));
});

test('a connection without requests is closed', async (t) => {
  const { port } = await open(t, { times: { keepAliveMs: 100 } });
  const { socket, seen } = connectTo(t, port);
  socket.write(live);
  t.regex(await ended(seen), /^HTTP\/1\.1 200 /);
});

test('headers of more than 16 KiB get 400, and their connection is closed', async (t) => {
  const { port } = await open(t);
  const { socket, seen } = connectTo(t, port);
  socket.write(`GET /healthz/live HTTP/1.1\r\nHost: ${host}\r\nX: ${'x'.repeat(17_000)}\r\n\r\n`);
  t.regex(await ended(seen), /^HTTP\/1\.1 400 .*The headers have more than 16 KiB\./s);
});

/** Opens connections and receives a response on each. */
async function openAnswered(t: ExecutionContext, port: number, count: number, localAddress = host) {
  const opened = Array.from({ length: count }, () => connectTo(t, port, localAddress));
  for (const { socket } of opened) socket.write(live);
  for (const { seen } of opened) {
    await eventually(() => {
      if (!seen.text.startsWith('HTTP/1.1 200 ')) throw new Error(`no answer: ${seen.text}`);
    });
  }
  return opened;
}

/** Demands that one more connection is closed without a response. */
async function demandDropped(t: ExecutionContext, port: number): Promise<void> {
  const { socket, seen } = connectTo(t, port);
  socket.write(live);
  await eventually(() => {
    if (!seen.isEnded && !seen.isClosed) throw new Error('it is open');
  });
  t.is(seen.text, '');
}

const rows: [string, Parameters<typeof open>[1], readonly string[]][] = [
  ['of the port', { limits: { connectionsMax: 4 } }, ['127.0.0.2']],
  ['of an address', { limits: { connectionsPerAddressMax: 4 } }, []],
];
for (const [what, settings, others] of rows) {
  test(`a connection above the limit ${what} is dropped; after another ends, the next is served`, async (t) => {
    const { port } = await open(t, settings);
    const [first] = await openAnswered(t, port, 4 - others.length);
    for (const other of others) await openAnswered(t, port, 1, other);
    await demandDropped(t, port);
    if (others.length === 0) await openAnswered(t, port, 1, '127.0.0.2');
    first?.socket.destroy();
    await eventually(() => openOne(t, port));
    t.pass();
  });
}

/** Rejects if the connection is dropped. */
async function openOne(t: ExecutionContext, port: number): Promise<void> {
  const { socket, seen } = connectTo(t, port);
  socket.write(live);
  await eventually(() => {
    if (seen.text === '' && !seen.isEnded && !seen.isClosed) throw new Error('no answer yet');
  });
  if (!seen.text.startsWith('HTTP/1.1 200 ')) throw new Error('it was dropped');
}

test('behind a trusted proxy no address has a limit of connections', async (t) => {
  const settings = { limits: { connectionsPerAddressMax: 1 }, trustedProxies: [host] };
  const { port } = await open(t, settings);
  await openAnswered(t, port, 3);
  t.pass();
});
