/** The metrics and log lines of refused requests of the HTTP edge, without a database. */
import { once } from 'node:events';
import { keptLog } from '@silo/rpc/test/support.ts';
import { fingerprintOf, hashOf, newProjectToken } from '@silo/tokens/secrets.ts';
import test, { type ExecutionContext } from 'ava';
import { untilIs } from '../../../test/harness/eventually.ts';
import { connectTo, dead, ended, host, live, open, post } from './edge-support.ts';

test('a refused request is logged with route, reason, address and fingerprint of the token', async (t) => {
  const { log, lines } = keptLog();
  const { port } = await open(t, { log, permitToken: async () => dead, verifyToken: () => dead });
  const [first, second, third] = Array.from({ length: 3 }, newProjectToken) as [
    string,
    string,
    string,
  ];
  await post(port, '/batch', `{"api_key":"${first}","batch":[{"event":"seen"}]}`);
  await post(port, '/i/v0/e', 'no JSON');
  await post(port, '/nowhere', '{}');
  await post(port, '/flags', `{"token":"${second}"}`);
  const url = `http://${host}:${port}`;
  await fetch(`${url}/array/${third}/config.js`);
  const authorization = `Bearer ${first}`;
  await fetch(`${url}/i/v1/analytics/events`, { method: 'POST', headers: { authorization } });
  const logged = lines.map((line) => JSON.parse(line));
  t.deepEqual(
    logged.map(({ msg, route, status, reason, address, tokenFingerprint }) => [
      ...[msg, route, status, reason, address, tokenFingerprint],
    ]),
    [
      ['/batch', 401, 'TOKEN_INVALID', first],
      ['/i/v0/e', 400, 'INVALID_BODY', undefined],
      ['none', 404, 'NOT_FOUND', undefined],
      ['/flags', 401, 'TOKEN_INVALID', second],
      ['/array/:token/config.js', 404, 'NOT_FOUND', third],
      ['/i/v1/analytics/events', 400, 'INVALID_BODY', first],
    ].map(([route, status, reason, token]) => [
      ...['HTTP request refused', route, status, reason, host],
      typeof token === 'string' ? fingerprintOf(hashOf(token)) : undefined,
    ]),
  );
  const text = lines.join('');
  for (const token of [first, second, third]) t.false(text.includes(token.slice(4)));
});

test('a flood of refused requests of one address is sampled', async (t) => {
  const { log, lines } = keptLog();
  const { port } = await open(t, { log });
  for (let count = 1; count <= 150; count++) await post(port, '/nowhere', '');
  t.true(lines.length < 150, `${lines.length} lines`);
});

const secret = 'hidden-by-the-client';

/** Sends text on a connection of its own, and returns the response. */
async function sendRaw(t: ExecutionContext, port: number, text: string, localAddress = host) {
  const { socket, seen } = connectTo(t, port, localAddress);
  socket.write(text);
  return await ended(seen);
}

/** An edge, and a function that demands its counts, and the lines that it has logged. */
async function openKept(t: ExecutionContext, options: Parameters<typeof open>[1] = {}) {
  const { log, lines } = keptLog();
  const edge = await open(t, { ...options, log });
  const demand = async (counts: Record<string, number>, logged: unknown[][]) => {
    await untilIs(JSON.stringify(counts), async () => JSON.stringify(await edge.refusals()));
    t.deepEqual(
      lines
        .map((line) => JSON.parse(line))
        .map(({ msg, listener, status, reason, address }) => [
          ...[msg, listener ?? status, reason, address],
        ]),
      logged,
    );
    t.false(lines.join('').includes(secret));
  };
  return { ...edge, lines, demand };
}

const byListener = 'refused before any handler';
const byHandler = 'HTTP request refused';
const credentials = `Authorization: Bearer ${secret}\r\n`;

test('text that Node does not accept as HTTP is counted, and logged once per address and reason', async (t) => {
  const { port, lines, demand } = await openKept(t);
  const host1 = `Host: ${host}\r\n${credentials}`;
  for (const text of [
    `GET /?token=${secret} HTTP/9.9\r\n${host1}\r\n`,
    `HIDDEN /?token=${secret} HTTP/1.1\r\n${host1}\r\n`,
    `POST /batch?token=${secret} HTTP/1.1\r\n${host1}Content-Length: x\r\n\r\n`,
    `CONNECT ${secret}:443 HTTP/1.1\r\n${host1}\r\n`,
  ]) {
    t.regex(await sendRaw(t, port, text), /^HTTP\/1\.1 400 .*INVALID_REQUEST/s, text);
  }
  await sendRaw(t, port, `${secret}\r\n\r\n`, '127.0.0.2');
  const long = `GET /?token=${secret} HTTP/1.1\r\nX: ${secret.repeat(900)}\r\n\r\n`;
  t.regex(await sendRaw(t, port, long), /^HTTP\/1\.1 400 /);
  await demand({ 'edge protocol': 5, 'edge headers_too_large': 1 }, [
    [byListener, 'edge', 'protocol', host],
    [byListener, 'edge', 'protocol', '127.0.0.2'],
    [byListener, 'edge', 'headers_too_large', host],
  ]);
  t.regex(lines[0] ?? '', /"error":"HPE_\w+"/);
});

test('a client that sends CONNECT and resets its connection does no harm', async (t) => {
  const { port, refusals } = await open(t);
  const request = `CONNECT ${host}:1 HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  const early = connectTo(t, port).socket;
  await once(early, 'connect');
  early.write(request);
  early.resetAndDestroy();
  await untilIs(1, async () => (await refusals())['edge protocol']);
  const late = connectTo(t, port);
  late.socket.write(request);
  t.regex(await ended(late.seen), /^HTTP\/1\.1 400 /);
  late.socket.resetAndDestroy();
  t.is((await fetch(`http://${host}:${port}/healthz/live`)).status, 200);
});

test('headers that take too long are counted and logged', async (t) => {
  const { port, demand } = await openKept(t, { times: { headersMs: 100 } });
  await sendRaw(t, port, `POST /batch?token=${secret} HTTP/1.1\r\n${credentials}`);
  await demand({ 'edge timeout': 1 }, [[byListener, 'edge', 'timeout', host]]);
});

test('a body that takes too long, or is not valid HTTP, is refused with the fields of its request', async (t) => {
  // A slow machine must read the headers before the time is over.
  const times = { requestMs: 2_000, headersMs: 2_000 };
  const { port, lines, demand } = await openKept(t, { times, trustedProxies: [host] });
  const token = newProjectToken();
  const begin = (headers: string) =>
    `POST /i/v1/analytics/events?token=${secret} HTTP/1.1\r\nHost: ${host}\r\n` +
    `Authorization: Bearer ${token}\r\nX-Forwarded-For: 192.0.2.1\r\n${headers}\r\n\r\n`;
  const chunked = `${begin('Transfer-Encoding: chunked')}${secret}\r\n`;
  t.regex(await sendRaw(t, port, chunked), /^HTTP\/1\.1 400 /);
  const slow = begin('Content-Length: 10');
  t.regex(await sendRaw(t, port, slow), /^HTTP\/1\.1 503 .*REQUEST_TIMEOUT/s);
  await demand({ '400 INVALID_REQUEST': 1, '503 REQUEST_TIMEOUT': 1 }, [
    [byHandler, 400, 'INVALID_REQUEST', '192.0.2.1'],
    [byHandler, 503, 'REQUEST_TIMEOUT', '192.0.2.1'],
  ]);
  const fields = lines.map((line) => JSON.parse(line));
  for (const { route } of fields) t.is(route, '/i/v1/analytics/events');
  // The body of the first request may be refused before its route has read the token.
  t.is(fields[1]?.tokenFingerprint, fingerprintOf(hashOf(token)));
});

test('requests that Fastify does not route are counted and logged as refused requests', async (t) => {
  const { port, demand } = await openKept(t);
  const rest = `HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${credentials}\r\n`;
  for (const [line, answer] of [
    [`GET /%?token=${secret}`, /^HTTP\/1\.1 400 /],
    [`GET /nowhere?token=${secret}`, /^HTTP\/1\.1 404 /],
    [`PROPFIND /batch?token=${secret}`, /^HTTP\/1\.1 404 /],
  ] as const) {
    t.regex(await sendRaw(t, port, `${line} ${rest}`), answer, line);
  }
  await demand({ '400 INVALID_REQUEST': 1, '404 NOT_FOUND': 2 }, [
    [byHandler, 400, 'INVALID_REQUEST', host],
    [byHandler, 404, 'NOT_FOUND', host],
    [byHandler, 404, 'NOT_FOUND', host],
  ]);
});

test('a request without the header Host is counted and logged; another expectation is ignored', async (t) => {
  const { port, demand } = await openKept(t);
  const end = `Connection: close\r\n${credentials}\r\n`;
  const refused = await sendRaw(t, port, `GET /healthz/live HTTP/1.1\r\n${end}`);
  t.regex(refused, /^HTTP\/1\.1 400 .*INVALID_REQUEST/s);
  const expecting = `GET /healthz/live HTTP/1.1\r\nHost: ${host}\r\nExpect: more\r\n${end}`;
  t.regex(await sendRaw(t, port, expecting), /^HTTP\/1\.1 200 /);
  t.regex(await sendRaw(t, port, `GET /healthz/live HTTP/1.0\r\n\r\n`), /^HTTP\/1\.1 200 /);
  await demand({ '400 INVALID_REQUEST': 1 }, [[byHandler, 400, 'INVALID_REQUEST', host]]);
});

test('connections above the limits are counted and logged', async (t) => {
  const cases = [
    [{ connectionsMax: 1 }, 'connections_max'],
    [{ connectionsPerAddressMax: 1 }, 'connections_per_address_max'],
  ] as const;
  for (const [limits, reason] of cases) {
    const { port, demand } = await openKept(t, { limits });
    const first = connectTo(t, port);
    first.socket.write(live);
    await untilIs(true, () => first.seen.text.startsWith('HTTP/1.1 200 '));
    const second = connectTo(t, port);
    await untilIs(true, () => second.seen.isEnded || second.seen.isClosed);
    await demand({ [`edge ${reason}`]: 1 }, [[byListener, 'edge', reason, host]]);
  }
});

test('the connection preface of HTTP/2 is counted and logged', async (t) => {
  const { port, demand } = await openKept(t);
  const { socket, seen } = connectTo(t, port);
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  await untilIs(true, () => seen.isEnded || seen.isClosed);
  await demand({ 'edge protocol': 1 }, [[byListener, 'edge', 'protocol', host]]);
});
