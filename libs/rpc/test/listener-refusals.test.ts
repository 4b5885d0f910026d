import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type ClientHttp2Session, constants } from 'node:http2';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { HealthCheckRequest } from '@silo/protos/gen/grpc/health/v1/health.ts';
import { FactServiceClient } from '@silo/protos/gen/silo/org/internal/v1/fact_service.ts';
import { createMetrics } from '@silo/runtime/metrics.ts';
import test, { type ExecutionContext } from 'ava';
import { untilIs } from '../../../test/harness/eventually.ts';
import { resets } from '../limits.ts';
import type { TlsFiles } from '../tls.ts';
import {
  attackersAddress,
  createAccountPath,
  getAccountPath,
  longRates,
  reflectionPath,
  startPublic,
  watchPath,
} from './front-support.ts';
import { beginCall, connectRaw, framed, outcomeOfRaw } from './raw-client.ts';
import {
  channelTo,
  connect,
  factService,
  fullKey,
  keptLog,
  makeAuthority,
  outcomeOf,
  serve,
} from './support.ts';

const secret = 'hidden-by-the-client';
const checkPath = '/grpc.health.v1.Health/Check';

/** The log and the metrics of a port. */
function kept() {
  const { log, lines } = keptLog();
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
  const logged = () =>
    lines
      .map((line) => JSON.parse(line))
      .filter(({ msg }) => msg === 'refused before any handler')
      .map(({ listener, reason, address, error }) => [listener, reason, address, error]);
  return { options: { log, metrics }, lines, counts, logged };
}

type Kept = ReturnType<typeof kept>;

/** Waits for these counts, and demands a log line without client data of each, with the address. */
async function demand(
  t: ExecutionContext,
  { counts, logged, lines }: Kept,
  expected: Record<string, number>,
  address = attackersAddress,
): Promise<void> {
  await untilIs(JSON.stringify(expected), async () => JSON.stringify(await counts()));
  t.deepEqual(
    logged().map(([listener, reason, from]) => [`${listener} ${reason}`, from]),
    Object.keys(expected).map((each) => [each, address]),
  );
  t.false(lines.join('').includes(secret));
}

/** A TLS connection from the attacker's address; resolves when it is closed. */
async function endTls(
  t: ExecutionContext,
  { address }: { address: string },
  options: ConnectionOptions,
  begin: (socket: TLSSocket) => void = () => {},
): Promise<void> {
  const socket = connectTls({
    ...{ host: '127.0.0.1', port: Number(address.split(':').at(-1)), servername: 'localhost' },
    ...{ ALPNProtocols: ['h2'], localAddress: attackersAddress, ...options },
  });
  t.teardown(() => socket.destroy());
  socket.on('error', () => {}).resume();
  socket.once('secureConnect', () => begin(socket));
  await closed(socket);
}

/** Resolves at the end of a connection, with or without an error. */
function closed(connection: NodeJS.EventEmitter): Promise<void> {
  return new Promise((resolve) => connection.once('close', () => resolve()));
}

const caOf = ({ ca }: TlsFiles) => readFileSync(ca);

test('text that is not TLS, and a TLS client of another protocol, are counted and logged', async (t) => {
  const port = kept();
  const { server, tls, tcp } = await startPublic(t, port.options);
  const socket = tcp(attackersAddress).resume();
  socket.write(`GET /${secret} HTTP/1.1\r\n\r\n`);
  await closed(socket);
  await endTls(t, server, { ca: caOf(tls), ALPNProtocols: ['http/1.1'] });
  await demand(t, port, { 'public handshake': 2 });
  t.is(port.logged()[0]?.[3], 'ERR_SSL_HTTP_REQUEST');
});

test('TLS clients that do not speak HTTP/2 are counted and logged', async (t) => {
  const port = kept();
  const { server, tls } = await startPublic(t, port.options);
  const ca = caOf(tls);
  await endTls(t, server, { ca, ALPNProtocols: [] }, (socket) => socket.end(secret));
  await endTls(t, server, { ca }, (socket) => {
    socket.write(`GET /${secret} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  });
  await demand(t, port, { 'public protocol': 2 });
});

test('a client that leaves during the handshake is not refused', async (t) => {
  const port = kept();
  const { server, tcp, accounts } = await startPublic(t, port.options);
  const socket = tcp(attackersAddress);
  await once(socket, 'connect');
  socket.end();
  await closed(socket);
  // The client does not trust the CA of the server.
  await endTls(t, server, {});
  t.is(await outcomeOf(accounts.getAccount({})), 'OK');
  t.deepEqual(await port.counts(), {});
});

test('a client whose certificate the internal port refuses is counted and logged', async (t) => {
  const port = kept();
  const issue = await makeAuthority(t);
  const tls = await issue('service', 'org');
  const options = { ...port.options, address: '127.0.0.1:0', tls, services: [factService()] };
  const server = await serve(t, { ...options, internal: true });
  const ca = caOf(tls);
  await endTls(t, server, { ca });
  const foreign = await (await makeAuthority(t))('service', 'org');
  const [cert, key] = [readFileSync(foreign.cert), readFileSync(foreign.key)];
  await endTls(t, server, { ca, cert, key });
  await endTls(t, server, { ca, cert, key, maxVersion: 'TLSv1.2' });
  await demand(t, port, { 'internal client_certificate': 3 });
  const facts = connect(FactServiceClient, channelTo(t, server, tls), { refusals: true });
  t.is(await outcomeOf(facts.getMembershipFact({ accountId: '', organizationId: '' })), 'OK');
  t.deepEqual(await port.counts(), { 'internal client_certificate': 3 });
});

test('connections above a limit, evicted ones included, are counted and logged', async (t) => {
  const cases = [
    [{ connectionsPerAddressMax: 2 }, 'public connections_per_address_max'],
    [{ connectionsMax: 2 }, 'public connections_max'],
  ] as const;
  for (const [limits, name] of cases) {
    const port = kept();
    const { tcp } = await startPublic(t, { ...port.options, limits });
    const sockets = [tcp(attackersAddress), tcp(attackersAddress)];
    await Promise.all(sockets.map((socket) => once(socket.resume(), 'connect')));
    await once(tcp(attackersAddress).resume(), 'connect');
    await demand(t, port, { [name]: 1 });
  }
});

test('a new connection is counted and logged if no connection can be evicted for it', async (t) => {
  const port = kept();
  const limits = { connectionsMax: 1 };
  const { accounts, tcp } = await startPublic(t, { ...port.options, limits });
  t.is(await outcomeOf(accounts.getAccount({})), 'OK');
  await closed(tcp(attackersAddress).resume());
  await demand(t, port, { 'public connections_max': 1 });
});

test('connections of an address that has exceeded its points are counted and logged', async (t) => {
  const port = kept();
  const limits = { rates: { ...longRates, addressPoints: 3 } };
  const { tcp } = await startPublic(t, { ...port.options, limits });
  await once(tcp(attackersAddress).resume(), 'connect');
  await closed(tcp(attackersAddress).resume());
  await demand(t, port, { 'public rate_limited': 1 });
});

test('a client that resets its calls repeatedly is counted and logged', async (t) => {
  const port = kept();
  const { attack } = await startPublic(t, port.options);
  const session = await attack();
  const ended = closed(session);
  const isOver = () => session.destroyed || session.closed;
  for (let sent = 0; !isOver() && sent < 20 * resets.burst; sent += 10) {
    const calls = Array.from({ length: 10 }, () => beginCall(session, createAccountPath));
    await Promise.race([ended, pinged(session)]);
    for (const call of calls) call.close(constants.NGHTTP2_CANCEL);
    await Promise.race([ended, pinged(session)]);
  }
  await untilIs(1, async () => (await port.counts())['public protocol']);
  t.deepEqual(
    port.logged().filter(([, reason]) => reason === 'protocol'),
    [['public', 'protocol', attackersAddress, 'ERR_HTTP2_ERROR']],
  );
});

function pinged(session: ClientHttp2Session): Promise<void> {
  return new Promise((resolve) => {
    if (session.destroyed || session.closed || !session.ping(() => resolve())) resolve();
  });
}

test('headers above the limit are counted and logged', async (t) => {
  const port = kept();
  const { server, tls } = await startPublic(t, port.options);
  // Node itself refuses them once the client has acknowledged the settings of the server.
  const session = await connectRaw({ address: server.address, ca: tls.ca, from: attackersAddress });
  t.teardown(() => session.destroy());
  const outcome = await outcomeOfRaw(beginCall(session, getAccountPath, { x: secret.repeat(900) }));
  t.not(outcome.reset, undefined);
  await demand(t, port, { 'public headers_too_large': 1 });
});

test('calls that the gRPC library refuses are counted and logged', async (t) => {
  const port = kept();
  const { attack } = await startPublic(t, port.options);
  const session = await attack();
  const send = async (headers: Record<string, string>, flags = 0) => {
    const authorization = `Bearer ${fullKey}`;
    const call = beginCall(session, getAccountPath, { authorization, x: secret, ...headers });
    const body = framed(Buffer.from([1]));
    body.writeUInt8(flags, 0);
    call.end(body);
    return await outcomeOfRaw(call);
  };
  await send({ 'content-type': 'text/plain' });
  t.is((await send({ 'grpc-timeout': 'soon' })).status, '13');
  t.is((await send({ 'grpc-encoding': 'gzip' }, 1)).status, '13');
  t.is((await send({ 'grpc-encoding': 'br' }, 1)).status, '12');
  await demand(t, port, { 'public invalid_call': 4 });
});

test('a call whose request is incomplete at its deadline is counted and logged', async (t) => {
  const port = kept();
  const { attack } = await startPublic(t, port.options);
  const call = beginCall(await attack(), createAccountPath, { 'grpc-timeout': '50m' });
  call.once('response', () => call.close(constants.NGHTTP2_CANCEL));
  t.is((await outcomeOfRaw(call)).status, '4');
  await demand(t, port, { 'public timeout': 1 });
});

test('calls of a handler, refused or not, are not counted as refused by the listener', async (t) => {
  const port = kept();
  const { accounts, attack } = await startPublic(t, port.options);
  t.is(await outcomeOf(accounts.getAccount({})), 'OK');
  const session = await attack();
  const empty = Buffer.alloc(0);
  const undecodable = Buffer.from([0x0a, 0x7f]);
  const unknown = HealthCheckRequest.encode({ service: 'no.such.Service' }).finish();
  for (const [path, body, code] of [
    [getAccountPath, empty, '16'],
    [checkPath, empty, '0'],
    [checkPath, unknown, '5'],
    [checkPath, undecodable, '3'],
    [watchPath, undecodable, '3'],
    [reflectionPath, undecodable, '3'],
    ['/no.such.Service/Method', empty, '12'],
  ] as const) {
    const call = beginCall(session, path);
    call.end(framed(body));
    t.is((await outcomeOfRaw(call)).status, code, path);
  }
  const watch = beginCall(session, watchPath, { 'grpc-timeout': '1S' });
  watch.end(framed(empty));
  t.is((await outcomeOfRaw(watch)).status, '4');
  session.destroy();
  t.is(await outcomeOf(accounts.getAccount({})), 'OK');
  t.deepEqual(await port.counts(), {});
});

test('calls of unknown methods are logged with their address, without a query in the path', async (t) => {
  const port = kept();
  const { attack } = await startPublic(t, port.options);
  const call = beginCall(await attack(), `/no.such.Service/Method?key=${secret}`);
  call.end(framed(Buffer.alloc(0)));
  t.is((await outcomeOfRaw(call)).status, '12');
  const [line] = port.lines.map((each) => JSON.parse(each));
  const { method, status, reason, address } = line ?? {};
  t.deepEqual(
    { method, status, reason, address },
    {
      method: '/no.such.Service/Method',
      status: 'UNIMPLEMENTED',
      reason: 'UNKNOWN_METHOD',
      address: attackersAddress,
    },
  );
  t.false(port.lines.join('').includes(secret));
});

test('a client whose connection is closed after many refusals has a line for each refused call', async (t) => {
  const port = kept();
  const limits = { rates: { ...longRates, addressPoints: 40 } };
  const { attack } = await startPublic(t, { ...port.options, limits });
  const session = await attack();
  let calls = 0;
  while (!session.destroyed && !session.closed && calls < 100) {
    const call = beginCall(session, getAccountPath);
    call.end(framed(Buffer.alloc(0)));
    await outcomeOfRaw(call);
    calls++;
  }
  t.true(session.destroyed || session.closed);
  t.is(port.lines.length, calls);
});
