import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type ClientHttp2Session, constants, createSecureServer } from 'node:http2';
import { connect as connectTcp, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { status } from '@grpc/grpc-js';
import {
  CreateAccountRequest,
  CreateAccountResponse,
} from '@silo/protos/gen/silo/org/v1/account_service.ts';
import anyTest from 'ava';
import { untilIs } from '../../../test/harness/eventually.ts';
import { Connections } from '../connections.ts';
import {
  anyoneRequestBytesMax,
  publicRequestBytesMax,
  publicStreamsMax,
  refusalsPerConnectionMax,
  resets,
  untrustedStreamsMax,
} from '../limits.ts';
import {
  attackersAddress,
  createAccountPath,
  exhausted,
  getAccountPath,
  longRates,
  startPublic,
} from './front-support.ts';
import { beginCall, connectRaw, firstBytes, framed, outcomeOfRaw } from './raw-client.ts';
import {
  accountService,
  createAccountRequest,
  fullKey,
  makeAuthority,
  outcomeOf,
} from './support.ts';

// The tests count the resources of one port: run one attack at a time.
const test = anyTest.serial;

const anybody = { connectionsMax: 10, perAddressMax: 10, trustsSessions: false };

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
  await untilIs(3, () => open(sockets).length);
  t.deepEqual(
    sockets.map(({ readyState }) => readyState === 'open'),
    [false, false, false, false, false, true, true, true],
  );
  // This connection has sent a valid key, and stays.
  t.is(await outcomeOf(accounts.getAccount({})), 'OK');
});

test('in a burst of connections, one TLS handshake begins in each turn; a reset before that is harmless', async (t) => {
  const http2Server = createSecureServer();
  http2Server.removeAllListeners('connection');
  const begun: Socket[] = [];
  http2Server.on('connection', (socket: Socket) => begun.push(socket));
  const connections = new Connections({ ...anybody, admits: () => true, report: () => {} });
  connections.watch(http2Server);
  const [first, reset, last] = [new Socket(), new Socket(), new Socket()];
  for (const socket of [first, reset, last]) http2Server.emit('connection', socket);
  await Promise.resolve();
  t.deepEqual(begun, [first]);
  reset.destroy(new Error('ECONNRESET'));
  await untilIs(2, () => begun.length);
  t.deepEqual(begun, [first, last]);
  for (const socket of [first, last]) socket.destroy();
  await untilIs(0, () => connections.count);
});

test('a client that begins a call and resets its connection does no harm', async (t) => {
  const { tls, accounts, tcp } = await startPublic(t);
  const socket = tcp(attackersAddress);
  await once(socket, 'connect');
  const secure = connectTls({
    ...{ socket, servername: 'localhost', ALPNProtocols: ['h2'] },
    ca: readFileSync(tls.ca),
  });
  secure.on('error', () => {});
  // At once, so that the server learns of the reset before it has read the call.
  secure.once('secureConnect', () => {
    secure.write(firstBytes(getAccountPath));
    socket.resetAndDestroy();
  });
  await once(socket, 'close');
  t.is(await outcomeOf(accounts.getAccount({})), 'OK');
});

test('a connection never evicts one of another address until the port is full', async (t) => {
  const limits = { connectionsPerAddressMax: 4, connectionsMax: 6 };
  const { accounts, tcp } = await startPublic(t, { limits });
  t.is(await outcomeOf(accounts.getAccount({})), 'OK');
  const first = Array.from({ length: 3 }, () => tcp('127.0.0.3'));
  await Promise.all(first.map((socket) => once(socket, 'connect')));
  const second = Array.from({ length: 3 }, () => tcp(attackersAddress));
  await untilIs(5, () => open(first).length + open(second).length);
  t.is(open(second).length, 3);
  t.is(await outcomeOf(accounts.getAccount({})), 'OK');
});

test('headers above the limit end their own call only', async (t) => {
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
  await untilIs(100, () => running);
  release.resolve();
  t.deepEqual(new Set(await Promise.all(calls)), new Set(['OK']));
  t.is(running, 150);
});

test('a connection may have few concurrent calls until one of them has sent a live key', async (t) => {
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
  await untilIs(untrustedStreamsMax, () => running);
  t.is(session.remoteSettings.maxConcurrentStreams, untrustedStreamsMax);
  release.resolve();
  const codes = (await Promise.all(first)).map(({ status: code }) => code);
  t.deepEqual(new Set(codes), new Set([String(status.OK)]));
  const known = beginCall(session, getAccountPath, { authorization: `Bearer ${fullKey}` });
  known.end(framed(Buffer.alloc(0)));
  t.is((await outcomeOfRaw(known)).status, String(status.OK));
  await untilIs(publicStreamsMax, () => session.remoteSettings.maxConcurrentStreams);
});

test('a request that states a length above its method’s maximum is refused and reset before it is read', async (t) => {
  const { attack, accounts } = await startPublic(t);
  const session = await attack();
  const sizes: [path: string, bytesMax: number][] = [
    [createAccountPath, anyoneRequestBytesMax],
    [getAccountPath, publicRequestBytesMax],
  ];
  for (const [path, bytesMax] of sizes) {
    const upload = beginCall(session, path);
    const answered = outcomeOfRaw(upload);
    // The length arrives in two parts, and the message never ends.
    const bytes = framed(Buffer.alloc(2 * 2 ** 20), bytesMax + 1);
    upload.write(bytes.subarray(0, 3), () => upload.write(bytes.subarray(3)));
    const { status: code, message } = await answered;
    t.is(code, String(status.INVALID_ARGUMENT), path);
    t.regex(message ?? '', new RegExp(`more than ${bytesMax} bytes`));
    t.is(upload.rstCode, constants.NGHTTP2_NO_ERROR);
  }
  t.false(session.destroyed);
  t.is(await outcomeOf(accounts.getAccount({})), 'OK');
});

test('an address whose requests are too large runs out of points; a client with a live key does not', async (t) => {
  const limits = { rates: { ...longRates, addressPoints: 95 } };
  const { attack } = await startPublic(t, { limits });
  const begin = (session: ClientHttp2Session, headers = {}) => {
    const upload = beginCall(session, getAccountPath, headers);
    const answered = outcomeOfRaw(upload);
    upload.write(framed(Buffer.alloc(0), publicRequestBytesMax + 1));
    return answered;
  };
  const codesOf = async (session: ClientHttp2Session, headers = {}) => {
    const codes: (string | undefined)[] = [];
    for (let call = 0; call < 4; call++) codes.push((await begin(session, headers)).status);
    return codes;
  };
  const invalid = String(status.INVALID_ARGUMENT);
  const trusted = await attack('127.0.0.1');
  const headers = { authorization: `Bearer ${fullKey}` };
  const known = beginCall(trusted, getAccountPath, headers);
  known.end(framed(Buffer.alloc(0)));
  t.is((await outcomeOfRaw(known)).status, String(status.OK));
  t.deepEqual(await codesOf(trusted, headers), [invalid, invalid, invalid, invalid]);
  t.deepEqual(await codesOf(await attack()), [invalid, invalid, invalid, exhausted.status]);
});

test('a connection whose calls are refused repeatedly is closed', async (t) => {
  // Far below the number of points at which the address gets no response.
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

test('a client that resets its calls repeatedly loses its connection', async (t) => {
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

test('a connection that does not speak HTTP/2 in time is closed; one that does stays open', async (t) => {
  const { cert, key, ca } = await (await makeAuthority(t))('service', 'org');
  const http2Server = createSecureServer({ cert: readFileSync(cert), key: readFileSync(key) });
  const connections = new Connections({ ...anybody, admits: () => true, report: () => {} }, 3_000);
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
  await untilIs(1, () => connections.count);
  t.false(speaking.destroyed);
});
