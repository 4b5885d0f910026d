import { randomBytes, randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { newProjectToken } from '@silo/tokens/secrets.ts';
import { eventually } from '../harness/eventually.ts';
import type { TestSilo } from '../harness/silo.ts';
import { type Answer, edgeScenarios, openSdk, send, sendCounted } from './edge-support.ts';
import { allEvents } from './event-requests.ts';

const heldBytes = 28 * 2 ** 20;
const { test, edge } = edgeScenarios({
  edgeHeldBytes: heldBytes,
  edgeTrustedProxies: '127.0.0.1',
  servesMetrics: true,
  rateProjectCaptures: 20,
  rateWindowMs: 3_600_000,
});

function seen() {
  return { event: 'seen', distinct_id: 'ada', uuid: randomUUID(), properties: {} };
}

/** Writes to the edge like a slow or broken client, and returns the answer and the end. */
function rawRequest(text: string) {
  const { hostname, port } = new URL(edge.url);
  const socket = connect(Number(port), hostname);
  socket.write(text);
  let answer = '';
  socket.on('data', (data) => {
    answer += data.toString();
  });
  const closed = new Promise<string>((resolve) => {
    socket.on('error', () => {});
    socket.on('close', () => resolve(answer));
  });
  return { socket, closed };
}

test('above the rate of a project’s token the edge answers 503 with Retry-After', async (t) => {
  const { api, projectId, projectToken: api_key } = await t.context.silo.signUp();
  let [taken, late] = [0, 0];
  let answer: Answer;
  do {
    const body = JSON.stringify({ api_key, batch: [seen()] });
    const sent = await sendCounted(`${edge.url}/batch/`, { body });
    answer = sent.answer;
    if (answer.status === 200) taken++;
    // Requests that a busy machine did not answer in time may have used the rate, and may be
    // stored.
    late += sent.count - 1;
  } while (answer.status === 200 && taken <= 20);
  t.is(answer.status, 503);
  t.like(answer.body as object, { error: { reason: 'RATE_LIMITED' } });
  t.true(Number(answer.headers['retry-after']) > 0);
  t.true(taken <= 20 && taken + late >= 20, `${taken} were taken, ${late} were too slow`);
  const { length } = await allEvents(api, { projectId });
  t.true(length >= taken && length <= 20, `${length} are stored`);
});

/**
 * Begins bodies of these shares of the shared memory, each from its own address unless one is
 * given.
 */
function beginBodies(shares: readonly number[], address?: string) {
  const { host } = new URL(edge.url);
  const slow = shares.map((share, index) => {
    const body = ' '.repeat(heldBytes * share);
    const from = address ?? `203.0.113.${index + 1}`;
    const headers = `X-Forwarded-For: ${from}\r\nContent-Length: ${body.length}`;
    return rawRequest(
      `POST /batch/ HTTP/1.1\r\nHost: ${host}\r\n${headers}\r\n\r\n${body.slice(1)}`,
    );
  });
  return () => {
    for (const { socket } of slow) socket.destroy();
  };
}

/** Waits until the edge holds this number of bytes of bodies. */
async function untilHeld({ metricsUrls }: TestSilo, isEnough: (bytes: number) => boolean) {
  await eventually(async () => {
    const pages = await Promise.all(metricsUrls.map(async (url) => (await fetch(url)).text()));
    const [, held] = /^silo_edge_held_bytes(?:{.*})? (\d+)/m.exec(pages.join('\n')) ?? [];
    if (!isEnough(Number(held))) throw new Error(`${held} bytes are held`);
  });
}

/** Begins bodies of these shares once no body is held; returns when all of them are held. */
async function hold(silo: TestSilo, shares: readonly number[], address?: string) {
  await untilHeld(silo, (held) => held === 0);
  const end = beginBodies(shares, address);
  const sum = shares.reduce((bytes, share) => bytes + share * heldBytes, 0);
  await untilHeld(silo, (held) => held > sum - shares.length);
  return end;
}

/** Fills nine tenths of the memory for bodies from six addresses, each within its share. */
async function fillEdge(silo: TestSilo) {
  return await hold(
    silo,
    Array.from({ length: 6 }, () => 0.15),
  );
}

test('one address holds at most three quarters of the bytes, which leaves room for others', async (t) => {
  const { silo } = t.context;
  const { projectToken: api_key } = await silo.signUp();
  const address = '203.0.113.7';
  t.teardown(await hold(silo, [0.4, 0.3], address));
  const sendFrom = (from: string, body: string) =>
    send(`${edge.url}/batch/`, { body, headers: { 'x-forwarded-for': from } });
  const large = ' '.repeat(heldBytes / 8);
  t.is((await sendFrom(address, large)).status, 503);
  const body = JSON.stringify({ api_key, batch: [seen()] });
  t.is((await sendFrom('203.0.113.8', body)).status, 200);
  t.is((await sendFrom('203.0.113.8', large)).status, 400, 'the body is read to its end');
});

test('above the memory for bodies the edge answers 503 with Retry-After, and later 200 again', async (t) => {
  const { projectToken: api_key } = await t.context.silo.signUp();
  const end = await fillEdge(t.context.silo);
  t.teardown(end);
  const refused = await send(`${edge.url}/batch/`, { body: ' '.repeat(heldBytes / 4) });
  t.is(refused.status, 503);
  t.truthy(refused.headers['retry-after']);
  end();
  const body = JSON.stringify({ api_key, batch: [seen()] });
  await eventually(async () => {
    const { status } = await send(`${edge.url}/batch/`, { body });
    if (status !== 200) throw new Error(`${status}`);
  });
});

test('posthog-node retries after 503, and its event is stored once', async (t) => {
  const { api, projectId, projectToken } = await t.context.silo.signUp();
  const end = await fillEdge(t.context.silo);
  t.teardown(end);
  // Makes room at the first refusal. The edge may need a moment to see that the others have
  // disconnected.
  const options = { retries: 15, onRefusal: end };
  const { sdk, statuses, errors } = openSdk(projectToken, edge.url, options);
  // Too large for the remaining memory. Random, so that gzip does not help.
  const text = randomBytes(heldBytes / 8).toString('base64');
  const batch = Array.from({ length: 6 }, (_, index) =>
    text.slice(index * 500_000, (index + 1) * 500_000),
  );
  for (const [index, part] of batch.entries()) {
    sdk.capture({ distinctId: 'ada', event: `seen ${index}`, properties: { part } });
  }
  await sdk.flush();
  await sdk.shutdown();
  t.true(statuses.includes(503));
  t.deepEqual(errors, []);
  const names = (await allEvents(api, { projectId })).map(({ name }) => name).sort();
  t.deepEqual(
    names,
    batch.map((_, index) => `seen ${index}`),
  );
});

test('behind a trusted proxy, the client’s address is the one that the proxy forwards', async (t) => {
  const { api, projectId, projectToken: api_key } = await t.context.silo.signUp();
  const headers = { 'x-forwarded-for': '203.0.113.9' };
  const body = JSON.stringify({ api_key, batch: [seen()] });
  t.is((await send(`${edge.url}/batch/`, { body, headers })).status, 200);
  const [event] = await allEvents(api, { projectId });
  t.is(event?.properties, '{"$ip":"203.0.113.9"}');
});

test('an unknown token is looked up once, and then refused from memory', async (t) => {
  const { silo } = t.context;
  const body = JSON.stringify({ api_key: newProjectToken(), batch: [seen()] });
  t.is((await send(`${edge.url}/batch/`, { body })).status, 401);
  await silo.stop('token');
  try {
    for (let attempt = 0; attempt < 10; attempt++) {
      t.is((await send(`${edge.url}/batch/`, { body })).status, 401);
    }
  } finally {
    await silo.start('token');
  }
});

test('a request that is not HTTP gets 400, and its connection is closed', async (t) => {
  const { closed } = rawRequest('HELO example.com\r\n\r\n');
  t.regex(await closed, /^HTTP\/1\.1 400 .*Access-Control-Allow-Origin: \*/s);
});

test('a draining edge refuses with 503 and Retry-After', async (t) => {
  const { silo } = t.context;
  const { projectToken: api_key } = await silo.signUp();
  const body = JSON.stringify({ api_key, batch: [seen()] });
  const { host } = new URL(edge.url);
  const head = `POST /batch/ HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${body.length}\r\n\r\n`;
  // The body of the second request does not arrive, so its connection stays open. The edge has read
  // its head by the time it answers the first, because both are sent at once.
  const { socket, closed } = rawRequest(head + body + head);
  await new Promise((resolve) => socket.once('data', resolve));
  const stopped = silo.stop('project');
  // Sends one more request after each answer, the last of them while the edge drains. More requests
  // would be written to a closed connection, and lose answers that are still unread.
  const goOn = () => socket.write(body + head);
  socket.on('data', goOn);
  goOn();
  const answers = await closed;
  await stopped;
  await silo.start('project');
  t.regex(answers, /^HTTP\/1\.1 200 /);
  t.regex(answers, /HTTP\/1\.1 503 [\s\S]*retry-after: \d+[\s\S]*"DRAINING"/i);
});
