import { AccountServiceClient } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import test from 'ava';
import { connect, createChannel } from '../client.ts';
import { accountService, fullKey, makeAuthority, outcomeOf, serve } from './support.ts';

test('smoke', async (t) => {
  const issue = await makeAuthority(t);
  const tls = await issue('service', 'org');
  const server = await serve(t, { tls, internal: false, services: [accountService()] });
  using channel = createChannel(server.address, { ca: tls.ca });
  const client = connect(AccountServiceClient, channel, { refusals: true });
  t.is(await outcomeOf(client.getAccount({})), 'TOKEN_INVALID');
  const authorization = `Bearer ${fullKey}`;
  t.is(await outcomeOf(client.getAccount({}, { metadata: { authorization } })), 'OK');
});
