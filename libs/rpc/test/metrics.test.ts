import { AccountServiceClient } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import test from 'ava';
import { Registry } from 'prom-client';
import {
  accountService,
  channelTo,
  connect,
  createAccountRequest,
  makeAuthority,
  outcomeOf,
  serve,
} from './support.ts';

test('calls are counted by method, code and reason, and both ports of a process share the count', async (t) => {
  const tls = await (await makeAuthority(t))('service', 'org');
  const metrics = new Registry();
  const options = { tls, internal: false, services: [accountService()], metrics };
  for (const server of [await serve(t, options), await serve(t, options)]) {
    const client = connect(AccountServiceClient, channelTo(t, server, tls), { refusals: true });
    await client.createAccount(createAccountRequest);
    t.is(await outcomeOf(client.getAccount({})), 'TOKEN_INVALID');
  }
  const text = await metrics.metrics();
  const path = '/silo.org.v1.AccountService';
  t.true(text.includes(`{method="${path}/CreateAccount",code="OK",reason=""} 2`));
  t.true(
    text.includes(`{method="${path}/GetAccount",code="UNAUTHENTICATED",reason="TOKEN_INVALID"} 2`),
  );
  t.true(
    text.includes(`silo_rpc_duration_seconds_count{method="${path}/CreateAccount",reason=""} 2`),
  );
});
