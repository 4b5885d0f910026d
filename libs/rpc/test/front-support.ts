import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { status } from '@grpc/grpc-js';
import { AccountServiceClient } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import type { ExecutionContext } from 'ava';
import { connect } from '../client.ts';
import { defaultLimits, type PortLimits } from '../limits.ts';
import type { ServerOptions } from '../server.ts';
import { connectRaw } from './raw-client.ts';
import { accountService, channelTo, fullKey, makeAuthority, serve } from './support.ts';

export const createAccountPath = '/silo.org.v1.AccountService/CreateAccount';
export const getAccountPath = '/silo.org.v1.AccountService/GetAccount';
export const reflectionPath = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
export const watchPath = '/grpc.health.v1.Health/Watch';
export const attackersAddress = '127.0.0.2';
export const exhausted = { status: String(status.RESOURCE_EXHAUSTED) };
export const longRates = { ...defaultLimits.rates, windowMs: 3_600_000, addressPoints: 1_000_000 };

export async function startPublic(
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
    // Waits for the settings: earlier streams may be refused, because the client does not know its
    // limit.
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
