import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  constants,
  createSecureServer,
  createServer,
} from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { status } from '@grpc/grpc-js';
import { ServerReflectionRequest } from '@silo/protos/gen/grpc/reflection/v1/reflection.ts';
import { EventLogServiceClient } from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import {
  AccountServiceClient,
  CreateAccountRequest,
  CreateAccountResponse,
} from '@silo/protos/gen/silo/org/v1/account_service.ts';
import anyTest, { type ExecutionContext } from 'ava';
import { connect } from '../client.ts';
import { Connections } from '../connections.ts';
import {
  defaultLimits,
  type PortLimits,
  publicRequestBytesMax,
  publicStreamsMax,
  reflectionSlots,
  refusalsPerConnectionMax,
  requestTimeoutMs,
  resets,
  untrustedStreamsMax,
} from '../limits.ts';
import type { ServerOptions } from '../server.ts';
import { UnadmittedCalls } from '../unadmitted-calls.ts';
import { beginCall, connectRaw, framed, outcomeOfRaw } from './raw-client.ts';
import {
  accountService,
  channelTo,
  createAccountRequest,
  eventLogService,
  eventually,
  fullKey,
  keptLog,
  makeAuthority,
  outcomeOf,
  serve,
} from './support.ts';

// The tests count the resources of one port: run one attack at a time.
const test = anyTest.serial;
const createAccountPath = '/silo.org.v1.AccountService/CreateAccount';
const getAccountPath = '/silo.org.v1.AccountService/GetAccount';
const reflectionPath = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
const watchPath = '/grpc.health.v1.Health/Watch';
const attackersAddress = '127.0.0.2';
const exhausted = { status: String(status.RESOURCE_EXHAUSTED) };
const longRates = { ...defaultLimits.rates, windowMs: 3_600_000, addressPoints: 1_000_000 };

async function startPublic(
  t: ExecutionContext,
  {
    limits,
    ...options
  }: { limits?: Partial<PortLimits> } & Partial<Omit<ServerOptions, 'limits'>> = {},
) {
  const tls = await (await makeAuthority(t))('service', 'org');
  const server = await serve(t, {
    address: '127.0.0.1:0',
    ...{ tls, internal: false, services: [accountService()] },
    limits: { ...defaultLimits, rates: longRates, ...limits },
    ...options,
  });
  const accounts = connect(AccountServiceClient, channelTo(t, server, tls), {
    refusals: true,
    deadlineMs: 20_000,
    metadata: { authorization: `Bearer ${fullKey}` },
  });
  const attack = async (from = attackersAddress) => {
    const session = await connectRaw({ address: server.address, ca: tls.ca, from });
    t.teardown(() => session.destroy());
    // Streams that are begun before may be refused: the client does not know how many it may have.
    await once(session, 'remoteSettings');
    return session;
  };
  const tcp = (from?: string) => {
    const port = Number(server.address.split(':')[1]);
    const socket = connectTcp({ host: '127.0.0.1', port, ...(from && { localAddress: from }) });
    socket.on('error', () => {});
    t.teardown(() => socket.destroy());
    return socket;
  };
  return { server, tls, accounts, attack, tcp };
}

/** A message of this size without its last byte. */
const unfinished = (sizeBytes: number) => framed(Buffer.alloc(sizeBytes - 1), sizeBytes);

const reflectionQuestion = ServerReflectionRequest.encode({
  host: '',
  messageRequest: { $case: 'fileContainingSymbol', value: 'silo.org.v1.AccountService' },
}).finish();

/** Streams of reflection that read no answer: the status of each that is refused, else undefined. */
function beginReflection(session: ClientHttp2Session, streams: number) {
  return Array.from({ length: streams }, async () => {
    const stream = beginCall(session, reflectionPath);
    stream.write(framed(reflectionQuestion));
    const [headers] = await once(stream, 'response');
    const code: unknown = headers['grpc-status'];
    return code === undefined ? undefined : String(code);
  });
}

const open = (sockets: readonly Socket[]) =>
  sockets.filter(({ readyState }) => readyState === 'open');

test('a connection above the limit of its address evicts the oldest one without a valid key', async (t) => {
  const { accounts, tcp } = await startPublic(t, { limits: { connectionsPerAddressMax: 4 } });
  t.is(await outcomeOf(accounts.getAccount({})), 'OK');
  const sockets: Socket[] = [];
  for (let index = 0; index < 8; index++) {
    const socket = tcp().resume();
    await once(socket, 'connect');
    sockets.push(socket);
  }
  await eventually(() => open(sockets).length === 3);
  t.deepEqual(
    sockets.map(({ readyState }) => readyState === 'open'),
    [false, false, false, false, false, true, true, true],
  );
  // This connection has sent a valid key, and stays.
  t.is(await outcomeOf(accounts.getAccount({})), 'OK');
});

test('connections of one address evict none of another, until the port is full', async (t) => {
  const limits = { connectionsPerAddressMax: 4, connectionsMax: 6 };
  const { accounts, tcp } = await startPublic(t, { limits });
  t.is(await outcomeOf(accounts.getAccount({})), 'OK');
  const first = Array.from({ length: 3 }, () => tcp('127.0.0.3'));
  await Promise.all(first.map((socket) => once(socket, 'connect')));
  const second = Array.from({ length: 3 }, () => tcp(attackersAddress));
  await eventually(() => open(first).length + open(second).length === 5);
  t.is(open(second).length, 3);
  t.is(await outcomeOf(accounts.getAccount({})), 'OK');
});

test('headers above the limit end their call, and no other', async (t) => {
  const { attack } = await startPublic(t);
  const session = await attack();
  const other = beginCall(session, getAccountPath, { authorization: `Bearer ${fullKey}` });
  const long = await outcomeOfRaw(beginCall(session, getAccountPath, { x: 'y'.repeat(20_000) }));
  t.is(long.reset, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  other.end(framed(Buffer.alloc(0)));
  t.is((await outcomeOfRaw(other)).status, String(status.OK));
});

test('a connection has a limited number of concurrent calls; further calls wait in the client', async (t) => {
  const release = Promise.withResolvers<void>();
  let running = 0;
  const getAccount = async () => {
    running++;
    await release.promise;
    return { account: undefined };
  };
  const { accounts } = await startPublic(t, { services: [accountService({ getAccount })] });
  const calls = Array.from({ length: 150 }, () =>
    outcomeOf(accounts.getAccount({}, { deadlineMs: 20_000 })),
  );
  await eventually(() => running === 100);
  release.resolve();
  t.deepEqual(new Set(await Promise.all(calls)), new Set(['OK']));
  t.is(running, 150);
});

test('a connection has few calls at once until one of them has shown a live key', async (t) => {
  const release = Promise.withResolvers<void>();
  let running = 0;
  const createAccount = async () => {
    running++;
    await release.promise;
    return CreateAccountResponse.create();
  };
  const { attack } = await startPublic(t, { services: [accountService({ createAccount })] });
  const session = await attack();
  const body = framed(CreateAccountRequest.encode(createAccountRequest).finish());
  const begin = () => {
    const call = beginCall(session, createAccountPath);
    call.end(body);
    return outcomeOfRaw(call);
  };
  const first = Array.from({ length: 40 }, () => begin());
  await eventually(() => running === untrustedStreamsMax);
  t.is(session.remoteSettings.maxConcurrentStreams, untrustedStreamsMax);
  release.resolve();
  const codes = (await Promise.all(first)).map(({ status: code }) => code);
  t.deepEqual(new Set(codes), new Set([String(status.OK)]));
  const known = beginCall(session, getAccountPath, { authorization: `Bearer ${fullKey}` });
  known.end(framed(Buffer.alloc(0)));
  t.is((await outcomeOfRaw(known)).status, String(status.OK));
  await eventually(() => session.remoteSettings.maxConcurrentStreams === publicStreamsMax);
});

test('an upload that is answered before it ends is reset, so that its client stops', async (t) => {
  const { attack } = await startPublic(t);
  const session = await attack();
  const upload = beginCall(session, createAccountPath);
  const answered = outcomeOfRaw(upload);
  // Declares more than a request may have, and never ends.
  upload.write(framed(Buffer.alloc(2 * 2 ** 20), 4 * 2 ** 20));
  t.like(await answered, exhausted);
  t.is(upload.rstCode, constants.NGHTTP2_NO_ERROR);
  t.false(session.destroyed);
});

test('a connection whose calls are refused again and again is closed', async (t) => {
  // Far from the points at which the address floods.
  const limits = { rates: { ...longRates, addressPoints: 1_000 } };
  const { attack } = await startPublic(t, { limits });
  const session = await attack();
  let refused = 0;
  let calls = 0;
  while (!session.destroyed && !session.closed && calls < 1_250) {
    const call = beginCall(session, '/no.such.Service/Method');
    call.end(framed(Buffer.alloc(0)));
    calls++;
    if ((await outcomeOfRaw(call)).status === exhausted.status) refused++;
  }
  t.true(session.destroyed || session.closed);
  t.is(refused, refusalsPerConnectionMax);
});

test('a client that resets its calls over and over loses its connection', async (t) => {
  const { attack } = await startPublic(t);
  const session = await attack();
  const isOver = () => session.destroyed || session.closed;
  const closed = new Promise<void>((resolve) => session.once('close', resolve));
  /** Everything sent has been received, or the connection has ended. */
  const received = () =>
    Promise.race([
      closed,
      new Promise<void>((resolve) => {
        if (isOver() || !session.ping(() => resolve())) resolve();
      }),
    ]);
  let sent = 0;
  while (!isOver() && sent < 20 * resets.burst) {
    const calls = Array.from({ length: 50 }, () => beginCall(session, createAccountPath));
    // A call that is reset before it is flushed is never sent.
    await received();
    for (const call of calls) call.close(constants.NGHTTP2_CANCEL);
    sent += calls.length;
    await received();
  }
  t.true(isOver(), `still open after ${sent} resets`);
});

test('a connection above its memory limit before admission loses the call that exceeds it', async (t) => {
  const { attack, accounts } = await startPublic(t);
  const session = await attack();
  const uploads = Array.from({ length: 30 }, () => beginCall(session, createAccountPath));
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
      beginCall(session, createAccountPath).write(unfinished(publicRequestBytesMax));
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
    const call = beginCall(session, createAccountPath);
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
    outcomeOfRaw(beginCall(session, createAccountPath, { 'grpc-encoding': 'gzip' })),
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

test('reflection answers that are not read are bounded by their number', async (t) => {
  const { attack, accounts } = await startPublic(t);
  const outcomes: Promise<string | undefined>[] = [];
  for (let index = 0; index < 2; index++) outcomes.push(...beginReflection(await attack(), 40));
  const all = await Promise.all(outcomes);
  t.is(all.filter((code) => code === undefined).length, reflectionSlots.max);
  t.is(all.filter((code) => code === exhausted.status).length, 80 - reflectionSlots.max);
  t.is(await outcomeOf(accounts.getAccount({})), 'OK');
});

test('an address that holds all slots of reflection gives way to another', async (t) => {
  const { attack } = await startPublic(t);
  const held = beginReflection(await attack(), 2 * reflectionSlots.max);
  const codes = await Promise.all(held);
  t.is(codes.filter((code) => code === undefined).length, reflectionSlots.max);
  const others = await attack('127.0.0.3');
  t.deepEqual(await Promise.all(beginReflection(others, 1)), [undefined]);
});

test('an address without a live key is refused with RATE_LIMITED, and then dropped; keys that are live are served', async (t) => {
  const { log, lines } = keptLog();
  const limits = { rates: { ...longRates, addressPoints: 60 } };
  const { accounts, attack, tls, server } = await startPublic(t, { limits, log });
  t.is(await outcomeOf(accounts.getAccount({})), 'OK');
  const session = await attack('127.0.0.1');
  const seen = new Set<string>();
  while (!session.destroyed && !session.closed) {
    const call = beginCall(session, '/no.such.Service/Method');
    call.end(framed(Buffer.alloc(0)));
    const { status: code } = await outcomeOfRaw(call);
    if (code !== undefined) seen.add(code);
  }
  t.deepEqual(seen, new Set([String(status.UNIMPLEMENTED), exhausted.status]));
  const refused = lines
    .map((line) => JSON.parse(line))
    .find((line) => line.reason === 'RATE_LIMITED');
  t.like(refused, { method: '/no.such.Service/Method', address: '127.0.0.1' });
  await t.throwsAsync(connectRaw({ address: server.address, ca: tls.ca }));
  // From the same address, over a connection that has sent a valid key.
  t.is(await outcomeOf(accounts.getAccount({})), 'OK');
});

test('a recently accepted key is served on a new connection of an address without points', async (t) => {
  const limits = { rates: { ...longRates, addressPoints: 60 } };
  const { accounts, attack, server, tls } = await startPublic(t, { limits });
  t.is(await outcomeOf(accounts.getAccount({})), 'OK');
  const session = await attack('127.0.0.1');
  let code: string | undefined;
  while (code !== exhausted.status) {
    const call = beginCall(session, '/no.such.Service/Method');
    call.end(framed(Buffer.alloc(0)));
    code = (await outcomeOfRaw(call)).status;
  }
  const again = connect(AccountServiceClient, channelTo(t, server, tls), {
    refusals: true,
    deadlineMs: 20_000,
    metadata: { authorization: `Bearer ${fullKey}` },
  });
  t.is(await outcomeOf(again.getAccount({})), 'OK');
  const anyone = connect(AccountServiceClient, channelTo(t, server, tls), { refusals: true });
  t.is(await outcomeOf(anyone.createAccount(createAccountRequest)), 'RATE_LIMITED');
});

test('accounts, organizations and sign-ups have separate limits', async (t) => {
  const calls = async (rates: Partial<PortLimits['rates']>) => {
    const limits = { rates: { ...longRates, ...rates } };
    const { accounts } = await startPublic(t, { limits });
    const asked = [
      () => accounts.getAccount({}),
      () => accounts.createAccount(createAccountRequest),
    ].map(async (call) => {
      const outcomes = [];
      for (let index = 0; index < 4; index++) outcomes.push(await outcomeOf(call()));
      return outcomes.filter((outcome) => outcome === 'OK').length;
    });
    return await Promise.all(asked);
  };
  t.deepEqual(await calls({}), [4, 4]);
  t.deepEqual(await calls({ accountCalls: 2 }), [2, 4]);
  t.deepEqual(await calls({ signupsPerHour: 3 }), [4, 3]);
});

test('rejected connections and address limits do not affect peers with a certificate on the internal port', async (t) => {
  const issue = await makeAuthority(t);
  const tls = await issue('service', 'org');
  const rates = { ...longRates, addressPoints: 10 };
  const limits = { ...defaultLimits, connectionsPerAddressMax: 1, rates };
  const services = [eventLogService()];
  const server = await serve(t, { tls, internal: true, services, limits });
  const staff = await issue('guard', 'edge');
  for (let peer = 0; peer < 3; peer++) {
    const client = connect(EventLogServiceClient, channelTo(t, server, staff), { refusals: true });
    const accounts = connect(AccountServiceClient, channelTo(t, server, staff), { refusals: true });
    for (let call = 0; call < 50; call++) {
      t.is(await outcomeOf(accounts.getAccount({})), 'UNKNOWN_METHOD');
      t.is(await outcomeOf(client.getHead({})), 'OK');
    }
  }
});

test('a connection that does not speak HTTP/2 in time is closed; one that does stays open', async (t) => {
  const { cert, key, ca } = await (await makeAuthority(t))('service', 'org');
  const http2Server = createSecureServer({ cert: readFileSync(cert), key: readFileSync(key) });
  const anybody = { connectionsMax: 10, perAddressMax: 10, trustsSessions: false };
  const connections = new Connections({ ...anybody, admits: () => true }, 3_000);
  connections.watch(http2Server);
  http2Server.listen(0, '127.0.0.1');
  await once(http2Server, 'listening');
  t.teardown(() => http2Server.close());
  const bound = http2Server.address();
  if (bound === null || typeof bound === 'string') throw new TypeError('it has no port');
  const speaking = await connectRaw({ address: `127.0.0.1:${bound.port}`, ca });
  t.teardown(() => speaking.destroy());
  const target = { host: '127.0.0.1', port: bound.port };
  const silent = connectTcp(target);
  const onlyTls = connectTls({
    ...{ ...target, servername: 'localhost', ALPNProtocols: ['h2'] },
    ca: readFileSync(ca),
  });
  for (const socket of [silent, onlyTls]) socket.on('error', () => {}).resume();
  await once(onlyTls, 'secureConnect');
  t.is(connections.count, 3);
  await Promise.all([silent, onlyTls].map((socket) => once(socket, 'close')));
  await eventually(() => connections.count === 1);
  t.false(speaking.destroyed);
});
