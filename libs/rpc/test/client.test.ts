import { createServer, type Socket } from 'node:net';
import { status } from '@grpc/grpc-js';
import { errors } from '@silo/errors/errors.ts';
import { isServiceError } from '@silo/errors/from-status.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import { Role } from '@silo/protos/gen/silo/common/v1/authorization.ts';
import { FactServiceClient } from '@silo/protos/gen/silo/org/internal/v1/fact_service.ts';
import { StaffServiceClient } from '@silo/protos/gen/silo/org/internal/v1/staff_service.ts';
import test, { type ExecutionContext } from 'ava';
import {
  channelTo,
  connect,
  factService,
  makeAuthority,
  outcomeOf,
  serve,
  staffService,
} from './support.ts';

const request = { accountId: '', organizationId: '' };

async function start(t: ExecutionContext, getMembershipFact?: () => Promise<never>) {
  const tls = await (await makeAuthority(t))('service', 'org');
  const handlers =
    getMembershipFact === undefined ? {} : { getMembershipFact: () => getMembershipFact() };
  const services = [factService(handlers), staffService()];
  const server = await serve(t, { tls, internal: true, services });
  return { tls, server, channel: channelTo(t, server, tls) };
}

test('an error of a dependency becomes DEPENDENCY_UNAVAILABLE, with the cause kept', async (t) => {
  const { channel } = await start(t, () => Promise.reject(errors.accountNotFound('acc_1')));
  const facts = connect(FactServiceClient, channel);
  const error = await t.throwsAsync(facts.getMembershipFact(request), { instanceOf: SiloError });
  t.is(await outcomeOf(Promise.reject(error)), 'DEPENDENCY_UNAVAILABLE');
  t.true(isServiceError(error?.cause) && error.cause.code === status.NOT_FOUND);
});

test('an error of a dependency is passed on only if the caller requests it', async (t) => {
  const { channel } = await start(t, () => Promise.reject(errors.accountNotFound('acc_1')));
  const facts = connect(FactServiceClient, channel);
  const error = await t.throwsAsync(facts.getMembershipFact(request, { refusals: true }));
  t.like(error, {
    code: status.NOT_FOUND,
    details: { resourceInfo: { resourceType: 'account', resourceName: 'acc_1' } },
  });
});

const aboutTheServer = {
  CALL_ENDED: () => errors.callEnded('deadline'),
  ROLE_REQUIRED: () => errors.roleRequired([Role.ROLE_SERVICE]),
  TOKEN_INVALID: () => errors.tokenInvalid(),
  UNKNOWN_METHOD: () => errors.unknownMethod('/silo.org.internal.v1.FactService/GetFact'),
  INTERNAL: () => errors.internal('call_1'),
};
for (const [reason, make] of Object.entries(aboutTheServer)) {
  test(`${reason} of a dependency is not passed to the caller of this process`, async (t) => {
    const { channel } = await start(t, () => Promise.reject(make()));
    const facts = connect(FactServiceClient, channel);
    t.is(await outcomeOf(facts.getMembershipFact(request, { refusals: true })), reason);
    const passed = facts.getMembershipFact(request, { passRefusals: true });
    const error = await t.throwsAsync(passed, { instanceOf: SiloError });
    t.like(error, { code: status.UNAVAILABLE, reasonName: 'DEPENDENCY_UNAVAILABLE' });
    t.truthy(error?.details.retryDelayMs);
  });
}

test('a refusal of the request by a dependency is passed to the caller of this process', async (t) => {
  const { channel } = await start(t, () => Promise.reject(errors.accountNotFound('acc_1')));
  const facts = connect(FactServiceClient, channel, { passRefusals: true });
  t.is(await outcomeOf(facts.getMembershipFact(request)), 'ACCOUNT_NOT_FOUND');
});

test('a server that cannot be reached is DEPENDENCY_UNAVAILABLE before the deadline', async (t) => {
  const { tls, server } = await start(t);
  await server.drain(0);
  const facts = connect(FactServiceClient, channelTo(t, server, tls), { deadlineMs: 60_000 });
  t.is(await outcomeOf(facts.getMembershipFact(request)), 'DEPENDENCY_UNAVAILABLE');
});

test('only a client with waitForReady waits for a server that restarts', async (t) => {
  const { tls, server } = await start(t);
  const facts = connect(FactServiceClient, channelTo(t, server, tls));
  await facts.getMembershipFact(request);
  await server.drain(0);
  t.is(await outcomeOf(facts.getMembershipFact(request)), 'DEPENDENCY_UNAVAILABLE');
  const patient = facts.getMembershipFact(request, { patient: true, deadlineMs: 60_000 });
  const services = [factService(), staffService()];
  await serve(t, { address: server.address, tls, internal: true, services });
  t.is(await outcomeOf(patient), 'OK');
});

test('a call to a server that never responds ends at the deadline', async (t) => {
  const sockets = new Set<Socket>();
  const silent = createServer((socket) => sockets.add(socket.on('error', () => {})));
  const port = await new Promise<number>((resolve) => {
    silent.listen(0, 'localhost', () => {
      const address = silent.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  const { tls } = await start(t);
  const facts = connect(FactServiceClient, channelTo(t, `localhost:${port}`, tls));
  const call = facts.getMembershipFact(request, { deadlineMs: 200 });
  t.is(await outcomeOf(call), 'DEPENDENCY_UNAVAILABLE');
});

test('a call with an aborted signal is not sent', async (t) => {
  const { channel } = await start(t);
  const facts = connect(FactServiceClient, channel);
  const reason = new Error('too late');
  const error = await t.throwsAsync(
    facts.getMembershipFact(request, { signal: AbortSignal.abort(reason) }),
  );
  t.is(error, reason);
});

test('a repeatable read is sent up to 3 times if the server could not be reached', async (t) => {
  let attempts = 0;
  const { channel } = await start(t, () => {
    attempts++;
    return Promise.reject(errors.notReady('everything'));
  });
  const facts = connect(FactServiceClient, channel, { retry: true, refusals: true });
  t.is(await outcomeOf(facts.getMembershipFact(request)), 'NOT_READY');
  t.is(attempts, 3);
  t.is(await outcomeOf(facts.getMembershipFact(request, { retry: false })), 'NOT_READY');
  t.is(attempts, 4);
});

test('a method with side effects is never retried by the client', async (t) => {
  const { channel } = await start(t);
  const staff = connect(StaffServiceClient, channel, { retry: true });
  const call = staff.changeEmail({ accountId: '', email: '', requestId: '' });
  await t.throwsAsync(call, { instanceOf: TypeError, message: /is not repeatable/ });
});
