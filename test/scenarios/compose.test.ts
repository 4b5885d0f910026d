import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { natsAccounts, natsUsers } from '@silo/embedded/nats-users.ts';
import test from 'ava';
import { MongoClient } from 'mongodb';
import { parse } from 'yaml';
import { repository } from '../deployment/compose.ts';
import { startComposeNats } from '../harness/compose-nats.ts';
import { required } from '../harness/environment.ts';
import { eventually } from '../harness/eventually.ts';
import { connectToNats } from '../harness/patient-nats.ts';

test('the NATS users of compose are those of npm start', async (t) => {
  const file = await readFile(join(repository, 'deploy', 'nats-server.conf'), 'utf8');
  const events = { stream: 'SILO', subjectPrefix: 'silo.v1' };
  t.true(file.endsWith(natsAccounts(events, (user) => `$NATS_${user.toUpperCase()}_PASSWORD`)));
});

test('nats-server accepts the configuration of compose, and its users have their rights', async (t) => {
  const { ca: caFile, urlOf } = await startComposeNats(t);
  const open = (url: string) => connectToNats({ url, caFile }, { reconnect: false });
  for (const user of natsUsers) {
    const connection = await open(urlOf(user));
    await connection.close();
    const wrong = open(urlOf(user, { password: 'wrong' }));
    await t.throwsAsync(wrong, { code: 'AUTHORIZATION_VIOLATION' });
  }
  const subscriber = await open(urlOf('subscriber'));
  const refused = Promise.withResolvers<unknown>();
  const watch = async () => {
    for await (const { permissionContext } of subscriber.status()) {
      if (permissionContext) refused.resolve(permissionContext);
    }
  };
  watch().catch(refused.reject);
  subscriber.publish('silo.v1.token.revoked.prj_1', '{}');
  t.like(await refused.promise, { operation: 'publish', subject: 'silo.v1.token.revoked.prj_1' });
  await subscriber.close();
});

test('docs/configuration.md and npm start have the mongod settings of compose', async (t) => {
  const file = parse(await readFile(join(repository, 'deploy', 'mongod.conf'), 'utf8'));
  const { transactionLifetimeLimitSeconds } = file.setParameter;
  const page = await readFile(join(repository, 'docs', 'configuration.md'), 'utf8');
  for (const setting of [
    `--setParameter transactionLifetimeLimitSeconds=${transactionLifetimeLimitSeconds}`,
    `--slowms ${file.operationProfiling.slowOpThresholdMs}`,
  ]) {
    t.true(page.includes(`\`${setting}\``), setting);
  }
  const client = new MongoClient(required('MONGODB_URL'));
  t.teardown(() => client.close());
  const parameter = { getParameter: 1, transactionLifetimeLimitSeconds: 1 };
  // A test of `silo doctor` changes the setting for a moment.
  await eventually(async () => {
    const ofRun = await client.db('admin').command(parameter);
    assert.equal(ofRun.transactionLifetimeLimitSeconds, transactionLifetimeLimitSeconds);
  });
});
