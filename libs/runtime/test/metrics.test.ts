import { once } from 'node:events';
import { connect } from 'node:net';
import test from 'ava';
import { Counter } from 'prom-client';
import { untilIs } from '../../../test/harness/eventually.ts';
import { silentLogger } from '../log.ts';
import { createMetrics, serveMetrics } from '../metrics.ts';

const log = silentLogger();
const anywhere = { host: '127.0.0.1', port: 0 };

function registryWithCounter() {
  const metrics = createMetrics({ service: 'org', region: 'eu' });
  new Counter({ name: 'silo_test_total', help: 'A test.', registers: [metrics] }).inc(3);
  return metrics;
}

test('the metrics are served at /metrics with service and region on each', async (t) => {
  await using server = await serveMetrics(anywhere, registryWithCounter(), { log });
  const response = await fetch(`http://127.0.0.1:${server.address.port}/metrics`);
  const text = await response.text();
  t.is(response.status, 200);
  t.regex(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  t.regex(text, /^silo_test_total\{service="org",region="eu"\} 3$/m);
  t.regex(text, /^process_cpu_user_seconds_total\{service="org",region="eu"\}/m);
});

test('only GET /metrics is served, and /live, which collects nothing', async (t) => {
  await using server = await serveMetrics(anywhere, registryWithCounter(), { log });
  const at = `http://127.0.0.1:${server.address.port}`;
  t.is((await fetch(`${at}/`)).status, 404);
  t.is((await fetch(`${at}/metrics`, { method: 'POST' })).status, 405);
  t.is(await (await fetch(`${at}/live`)).text(), 'live\n');
});

test('a client that sends CONNECT and resets its connection does no harm', async (t) => {
  const metrics = registryWithCounter();
  await using server = await serveMetrics(anywhere, metrics, { log });
  const { port } = server.address;
  const socket = connect({ host: '127.0.0.1', port });
  await once(socket, 'connect');
  socket.write('CONNECT x:1 HTTP/1.1\r\nHost: a\r\n\r\n');
  socket.resetAndDestroy();
  await untilIs(1, async () => {
    const refusals = await metrics.getSingleMetric('silo_listener_refusals_total')?.get();
    return refusals?.values[0]?.value;
  });
  t.is((await fetch(`http://127.0.0.1:${port}/live`)).status, 200);
});

test('the port is free after disposal and after an abort', async (t) => {
  const controller = new AbortController();
  const first = await serveMetrics(anywhere, registryWithCounter(), {
    ...{ log, signal: controller.signal },
  });
  await fetch(`http://127.0.0.1:${first.address.port}/metrics`); // leaves a kept-alive connection
  await first[Symbol.asyncDispose]();
  const second = await serveMetrics(first.address, registryWithCounter(), {
    ...{ log, signal: controller.signal },
  });
  controller.abort();
  await second[Symbol.asyncDispose](); // also waits for the close that the abort started
  await (await serveMetrics(first.address, registryWithCounter(), { log }))[Symbol.asyncDispose]();
  t.pass();
});

test('serving metrics on a port in use rejects', async (t) => {
  await using server = await serveMetrics(anywhere, registryWithCounter(), { log });
  await t.throwsAsync(serveMetrics(server.address, registryWithCounter(), { log }), {
    code: 'EADDRINUSE',
  });
});

test('an aborted signal starts nothing', async (t) => {
  const signal = AbortSignal.abort(new Error('over'));
  await t.throwsAsync(serveMetrics(anywhere, registryWithCounter(), { log, signal }), {
    message: 'over',
  });
});
