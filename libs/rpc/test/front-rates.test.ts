import { once } from 'node:events';
import type { ClientHttp2Session } from 'node:http2';
import { status } from '@grpc/grpc-js';
import { ServerReflectionRequest } from '@silo/protos/gen/grpc/reflection/v1/reflection.ts';
import { EventLogServiceClient } from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import { AccountServiceClient } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import anyTest from 'ava';
import { defaultLimits, type PortLimits, reflectionSlots } from '../limits.ts';
import { exhausted, longRates, reflectionPath, startPublic } from './front-support.ts';
import { beginCall, connectRaw, framed, outcomeOfRaw } from './raw-client.ts';
import {
  channelTo,
  connect,
  createAccountRequest,
  eventLogService,
  fullKey,
  keptLog,
  makeAuthority,
  outcomeOf,
  serve,
} from './support.ts';

// The tests count the resources of one port: run one attack at a time.
const test = anyTest.serial;

const reflectionQuestion = ServerReflectionRequest.encode({
  host: '',
  messageRequest: { $case: 'fileContainingSymbol', value: 'silo.org.v1.AccountService' },
}).finish();

/**
 * Reflection streams that read no answer. Contains the status of each refused stream, else
 * undefined.
 */
function beginReflection(session: ClientHttp2Session, streams: number) {
  return Array.from({ length: streams }, async () => {
    const stream = beginCall(session, reflectionPath);
    stream.write(framed(reflectionQuestion));
    const [headers] = await once(stream, 'response');
    const code: unknown = headers['grpc-status'];
    return code === undefined ? undefined : String(code);
  });
}

test('the number of unread reflection answers is bounded', async (t) => {
  const { attack, accounts } = await startPublic(t);
  const outcomes: Promise<string | undefined>[] = [];
  for (let index = 0; index < 2; index++) outcomes.push(...beginReflection(await attack(), 40));
  const all = await Promise.all(outcomes);
  t.is(all.filter((code) => code === undefined).length, reflectionSlots.max);
  t.is(all.filter((code) => code === exhausted.status).length, 80 - reflectionSlots.max);
  t.is(await outcomeOf(accounts.getAccount({})), 'OK');
});

test('an address that holds all reflection slots gives way to another', async (t) => {
  const { attack } = await startPublic(t);
  const held = beginReflection(await attack(), 2 * reflectionSlots.max);
  const codes = await Promise.all(held);
  t.is(codes.filter((code) => code === undefined).length, reflectionSlots.max);
  const others = await attack('127.0.0.3');
  t.deepEqual(await Promise.all(beginReflection(others, 1)), [undefined]);
});

test('an address without a live key is refused with RATE_LIMITED, and then gets no response; live keys are served', async (t) => {
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
    const served = [
      () => accounts.getAccount({}),
      () => accounts.createAccount(createAccountRequest),
    ].map(async (call) => {
      const outcomes = [];
      for (let index = 0; index < 4; index++) outcomes.push(await outcomeOf(call()));
      return outcomes.filter((outcome) => outcome === 'OK').length;
    });
    return await Promise.all(served);
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
