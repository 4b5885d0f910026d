import { once } from 'node:events';
import { constants } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { status } from '@grpc/grpc-js';
import { AccountServiceClient } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import anyTest, { type ExecutionContext } from 'ava';
import { connect } from '../client.ts';
import { defaultLimits, type PortLimits } from '../limits.ts';
import type { ServerOptions } from '../server.ts';
import { beginCall, connectRaw, framed, outcomeOfRaw } from './raw-client.ts';
import {
  accountService,
  channelTo,
  eventually,
  fullKey,
  makeAuthority,
  outcomeOf,
  serve,
} from './support.ts';

// They count what one port holds: one attack at a time.
const test = anyTest.serial;
const getAccountPath = '/silo.org.v1.AccountService/GetAccount';
const attackersAddress = '127.0.0.2';
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

const open = (sockets: readonly Socket[]) =>
  sockets.filter(({ readyState }) => readyState === 'open');

test('one connection too many from an address takes the place of the oldest without a live key', async (t) => {
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
  // Its connection has shown a live key, and stays.
  t.is(await outcomeOf(accounts.getAccount({})), 'OK');
});

test('the connections of one address take no place of another, until all are too many', async (t) => {
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

test('headers that are too long end their call, and no other', async (t) => {
  const { attack } = await startPublic(t);
  const session = await attack();
  const other = beginCall(session, getAccountPath, { authorization: `Bearer ${fullKey}` });
  const long = await outcomeOfRaw(beginCall(session, getAccountPath, { x: 'y'.repeat(20_000) }));
  t.is(long.reset, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  other.end(framed(Buffer.alloc(0)));
  t.is((await outcomeOfRaw(other)).status, String(status.OK));
});

test('a connection has so many calls at once as it may, and more wait in the client', async (t) => {
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
