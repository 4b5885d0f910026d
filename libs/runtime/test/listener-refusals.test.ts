import { once } from 'node:events';
import { connect } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { createListenerRefusals } from '../listener-refusals.ts';
import { createLogger } from '../log.ts';
import { createMetrics, serveMetrics } from '../metrics.ts';
import { fakeClock } from './fake-clock.ts';

const linesMax = 1_000;

function kept() {
  const lines: string[] = [];
  const destination = { write: (line: string) => lines.push(line) };
  const log = createLogger({ service: 'test', region: 'us', level: 'info', destination });
  const metrics = createMetrics({ service: 'org', region: 'us' });
  const counts = async () => {
    const read = await metrics.getSingleMetric('silo_listener_refusals_total')?.get();
    return Object.fromEntries(
      (read?.values ?? []).map(({ labels, value }) => [
        `${labels.listener} ${labels.reason}`,
        value,
      ]),
    );
  };
  return { log, lines, logged: () => lines.map((line) => JSON.parse(line)), metrics, counts };
}

test('each refusal is counted, and logged once per address and reason in 10 s', async (t) => {
  const { log, logged, metrics, counts } = kept();
  const clock = fakeClock();
  const report = createListenerRefusals('public', { log, metrics, clock });
  for (let count = 1; count <= 3; count++) report('handshake', '::ffff:192.0.2.1', 'ERR_SSL_X');
  report('client_certificate', '192.0.2.1');
  report('handshake', '192.0.2.2');
  t.deepEqual(
    logged().map(({ msg, listener, reason, address, error }) => [
      ...[msg, listener, reason, address, error],
    ]),
    [
      ['refused before any handler', 'public', 'handshake', '192.0.2.1', 'ERR_SSL_X'],
      ['refused before any handler', 'public', 'client_certificate', '192.0.2.1', undefined],
      ['refused before any handler', 'public', 'handshake', '192.0.2.2', undefined],
    ],
  );
  clock.advance(10_000);
  report('handshake', '192.0.2.1');
  t.deepEqual(
    logged()
      .slice(3)
      .map(({ msg, calls, reason }) => [msg, calls, reason]),
    [
      ['refusals of the public listener were not logged', 2, undefined],
      ['refused before any handler', undefined, 'handshake'],
    ],
  );
  t.deepEqual(await counts(), { 'public handshake': 5, 'public client_certificate': 1 });
});

test('a flood from many addresses is limited in total, and is counted completely', async (t) => {
  const { log, lines, metrics, counts } = kept();
  const report = createListenerRefusals('internal', { log, metrics, clock: fakeClock() });
  for (let index = 0; index < 5_000; index++) report('timeout', `192.0.2.${index}`);
  t.is(lines.length, linesMax);
  t.deepEqual(await counts(), { 'internal timeout': 5_000 });
});

test('all listeners of a process share one metric', async (t) => {
  const { log, metrics, counts } = kept();
  for (const listener of ['public', 'internal'] as const) {
    createListenerRefusals(listener, { log, metrics })('protocol', undefined);
  }
  t.deepEqual(await counts(), { 'public protocol': 1, 'internal protocol': 1 });
});

/** Sends text to the metrics port, and returns the response. */
async function sendTo(t: ExecutionContext, port: number, text: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port });
  t.teardown(() => socket.destroy());
  let answer = '';
  socket.on('data', (data) => {
    answer += data;
  });
  socket.write(text);
  await once(socket, 'close');
  return answer;
}

test('the metrics port counts and logs what it refuses, without the URL and the headers', async (t) => {
  const { log, lines, logged, metrics, counts } = kept();
  await using server = await serveMetrics({ host: '127.0.0.1', port: 0 }, metrics, { log });
  const { port } = server.address;
  const end = 'Connection: close\r\nAuthorization: Bearer hidden\r\n\r\n';
  const rows: [text: string, answer: RegExp][] = [
    [`GET /no?q=hidden HTTP/1.1\r\nHost: a\r\n${end}`, /^HTTP\/1\.1 404 /],
    [`POST /metrics?q=hidden HTTP/1.1\r\nHost: a\r\n${end}`, /^HTTP\/1\.1 405 /],
    [`GET /live?q=hidden HTTP/1.1\r\n${end}`, /^HTTP\/1\.1 400 /],
    [`HIDDEN /no HTTP/1.1\r\nHost: a\r\n${end}`, /^HTTP\/1\.1 400 /],
    [`GET /live HTTP/1.1\r\nX: ${'hidden'.repeat(5_000)}\r\n\r\n`, /^HTTP\/1\.1 431 /],
    [`CONNECT hidden:1 HTTP/1.1\r\nHost: a\r\n${end}`, /^HTTP\/1\.1 400 /],
  ];
  for (const [text, answer] of rows) t.regex(await sendTo(t, port, text), answer, text);
  t.deepEqual(await counts(), {
    'metrics not_found': 1,
    'metrics method_not_allowed': 1,
    'metrics protocol': 3,
    'metrics headers_too_large': 1,
  });
  t.deepEqual(
    logged().map(({ reason, address }) => [reason, address]),
    ['not_found', 'method_not_allowed', 'protocol', 'headers_too_large'].map((reason) => [
      ...[reason, '127.0.0.1'],
    ]),
  );
  t.false(/hidden/i.test(lines.join('')));
});
