import { status } from '@grpc/grpc-js';
import { EventLogServiceClient } from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import { FactServiceClient } from '@silo/protos/gen/silo/org/internal/v1/fact_service.ts';
import { StaffServiceClient } from '@silo/protos/gen/silo/org/internal/v1/staff_service.ts';
import { AccountServiceClient } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import test, { type ExecutionContext } from 'ava';
import { identityOf } from '../identity.ts';
import { startServer } from '../server.ts';
import {
  accountService,
  channelTo,
  collect,
  connect,
  eventLogService,
  factService,
  keptLog,
  makeAuthority,
  outcomeOf,
  region,
  serve,
  staffService,
} from './support.ts';

const changeRequest = { accountId: `acc_${'0'.repeat(26)}`, email: 'b@example.com', requestId: '' };

async function startInternal(t: ExecutionContext) {
  const issue = await makeAuthority(t);
  const tls = await issue('service', 'org');
  const services = [factService(), staffService(), eventLogService()];
  const server = await serve(t, { tls, internal: true, services });
  return { issue, server, tls };
}

test('a certificate with a role of the option is accepted, under its own name', async (t) => {
  const { issue, server } = await startInternal(t);
  const channel = channelTo(t, server, await issue('staff', 'ops'));
  const staff = connect(StaffServiceClient, channel, { refusals: true });
  const { account } = await staff.changeEmail(changeRequest);
  t.is(account?.displayName, 'staff/ops');
});

test('a certificate with another role is rejected before the shape is checked', async (t) => {
  const { issue, server } = await startInternal(t);
  const channel = channelTo(t, server, await issue('guard', 'edge'));
  const staff = connect(StaffServiceClient, channel, { refusals: true });
  t.is(await outcomeOf(staff.changeEmail({ ...changeRequest, email: '' })), 'ROLE_REQUIRED');
  const facts = connect(FactServiceClient, channel, { refusals: true });
  const request = { accountId: '', organizationId: '' };
  t.is(await outcomeOf(facts.getMembershipFact(request)), 'OK');
});

test('every call is authorized by the certificate of its own connection', async (t) => {
  const { issue, server } = await startInternal(t);
  for (const [role, expected] of [
    ['staff', 'OK'],
    ['service', 'ROLE_REQUIRED'],
    ['staff', 'OK'],
  ] as const) {
    const channel = channelTo(t, server, await issue(role, 'same'));
    const staff = connect(StaffServiceClient, channel, { refusals: true });
    t.is(await outcomeOf(staff.changeEmail(changeRequest)), expected);
    t.is(await outcomeOf(staff.changeEmail(changeRequest)), expected);
  }
});

test('an internal port accepts only clients with a certificate of its CA', async (t) => {
  const { server, tls } = await startInternal(t);
  const strangers = await (await makeAuthority(t))('service', 'org');
  for (const files of [{ ca: tls.ca }, { ...strangers, ca: tls.ca }]) {
    const facts = connect(FactServiceClient, channelTo(t, server, files), { deadlineMs: 2_000 });
    const call = facts.getMembershipFact({ accountId: '', organizationId: '' });
    t.is(await outcomeOf(call), 'DEPENDENCY_UNAVAILABLE');
  }
});

test('a client does not connect to a server of another CA', async (t) => {
  const { server } = await startInternal(t);
  const strangers = await (await makeAuthority(t))('service', 'org');
  const facts = connect(FactServiceClient, channelTo(t, server, strangers), { deadlineMs: 2_000 });
  const call = facts.getMembershipFact({ accountId: '', organizationId: '' });
  t.is(await outcomeOf(call), 'DEPENDENCY_UNAVAILABLE');
});

test('a certificate of another region is refused', async (t) => {
  const tls = await (await makeAuthority(t, 'eu'))('service', 'org');
  const server = await serve(t, { tls, internal: true, services: [factService()] });
  const facts = connect(FactServiceClient, channelTo(t, server, tls), { refusals: true });
  const call = facts.getMembershipFact({ accountId: '', organizationId: '' });
  t.is(await outcomeOf(call), 'ROLE_REQUIRED');
});

test('an internal method does not exist on a public port', async (t) => {
  const tls = await (await makeAuthority(t))('service', 'org');
  const server = await serve(t, { tls, internal: false, services: [accountService()] });
  const channel = channelTo(t, server, tls);
  const facts = connect(FactServiceClient, channel, { refusals: true });
  const call = facts.getMembershipFact({ accountId: '', organizationId: '' });
  t.is(await outcomeOf(call), 'UNKNOWN_METHOD');
  const eventLog = connect(EventLogServiceClient, channel, { refusals: true });
  const stream = eventLog.readEvents({ afterSequence: 0, batchSize: 0, follow: false });
  t.is(await outcomeOf(collect(stream)), 'UNKNOWN_METHOD');
});

test('a public method does not exist on an internal port', async (t) => {
  const { server, tls } = await startInternal(t);
  const accounts = connect(AccountServiceClient, channelTo(t, server, tls), { refusals: true });
  t.is(await outcomeOf(accounts.getAccount({})), 'UNKNOWN_METHOD');
});

test('a service does not start on the wrong port', async (t) => {
  const tls = await (await makeAuthority(t))('service', 'org');
  const { log } = keptLog();
  const common = { address: 'localhost:0', region, tls, log };
  const wrong = [
    { internal: false, services: [accountService(), factService()] },
    { internal: true, services: [accountService()] },
  ];
  for (const options of wrong) {
    await t.throwsAsync(startServer({ ...common, ...options }), {
      message: /cannot be served on the/,
    });
  }
});

test('a service with a method without access rule does not start', async (t) => {
  const tls = await (await makeAuthority(t))('service', 'org');
  const { log } = keptLog();
  const service = accountService();
  const methods = service.methods.map((one) => ({ ...one, path: `${one.path}Twice` }));
  const services = [{ ...service, methods }];
  const starting = startServer({
    address: 'localhost:0',
    region,
    tls,
    log,
    internal: false,
    services,
  });
  await t.throwsAsync(starting, { message: /has no option .silo.common.v1.authorization./ });
});

test('a port in use is reported', async (t) => {
  const { server, tls } = await startInternal(t);
  const { log } = keptLog();
  const options = { address: server.address, region, tls, log, internal: true, services: [] };
  await t.throwsAsync(startServer(options));
});

test('an identity is read only if the certificate has exactly one SPIFFE URI of Silo', (t) => {
  const uri = 'URI:spiffe://silo.internal/us/staff/ops';
  t.like(identityOf(`${uri}, DNS:localhost, IP Address:127.0.0.1`), { region: 'us', name: 'ops' });
  const refused = [
    undefined,
    '',
    'DNS:localhost',
    `${uri}, ${uri}`,
    `${uri}, URI:https://example.com`,
    `DNS:"x, ${uri}, DNS:y"`,
    'URI:spiffe://silo.example/us/staff/ops',
    'URI:spiffe://silo.internal/us/root/ops',
    'URI:spiffe://silo.internal/us/staff/ops/more',
    'URI:spiffe://silo.internal/us/staff/',
    'DNS:URI:spiffe://silo.internal/us/staff/ops',
  ];
  for (const names of refused) t.is(identityOf(names), undefined, names);
});

test('the error of an unknown method has its path', async (t) => {
  const { server, tls } = await startInternal(t);
  const accounts = connect(AccountServiceClient, channelTo(t, server, tls), { refusals: true });
  const error = await t.throwsAsync(accounts.getAccount({}));
  t.like(error, { code: status.UNIMPLEMENTED });
  t.regex(error?.message ?? '', /AccountService\/GetAccount/);
});
