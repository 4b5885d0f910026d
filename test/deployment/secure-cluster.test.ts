/** docker-compose.yml as processes: its configuration, secrets, users and commands. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { natsOptions } from '@silo/events/nats-options.ts';
import { FactServiceClient } from '@silo/protos/gen/silo/org/internal/v1/fact_service.ts';
import { connect as connectClient, createChannel } from '@silo/rpc/client.ts';
import { serviceNames } from '@silo/service/config.ts';
import test from 'ava';
import { MongoClient } from 'mongodb';
import { connect } from 'nats';
import { required } from '../harness/environment.ts';
import { quickestPlace } from '../harness/quickest-place.ts';
import { type SecureCluster, startSecureCluster } from './secure-cluster.ts';

const root = join(import.meta.dirname, '..', '..');
let directory: string;
let cluster: SecureCluster;

test.before(async (t) => {
  t.timeout(10 * 60_000);
  directory = await mkdtemp(join(await quickestPlace(), 'silo-secure-'));
  cluster = await startSecureCluster({
    directory,
    binaries: { mongod: required('MONGOD_BINARY'), natsServer: required('NATS_SERVER_BINARY') },
    log: (line) => t.log(line),
  });
});

test.after.always(async () => {
  await cluster?.stop({ force: true });
  await cluster?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true, maxRetries: 10 });
});

test.serial('the demo signs up, captures events and moves projects on it', async (t) => {
  t.timeout(10 * 60_000);
  const environment = { ...process.env, SILO_DIRECTORY: directory };
  const { stdout } = await promisify(execFile)(process.execPath, ['test/demo/demo.ts'], {
    ...{ cwd: root, env: environment, timeout: 9 * 60_000 },
  });
  t.true(stdout.includes(`Using the Silo that runs in ${directory}`), stdout);
  t.regex(stdout, /That is the whole story/);
});

test.serial('a service reaches its own database alone, with its password and TLS', async (t) => {
  for (const name of serviceNames) {
    await using client = new MongoClient(cluster.mongodbUrlOf(name));
    await client.db(`silo_${name}`).collection('events').findOne({});
    for (const other of serviceNames.filter((each) => each !== name)) {
      const foreign = client.db(`silo_${other}`).collection('events').findOne({});
      await t.throwsAsync(foreign, { code: 13 }, `${name} reads the database of ${other}`);
    }
  }
  const url = cluster.mongodbUrlOf('org');
  const quick = { serverSelectionTimeoutMS: 2_000 };
  await using wrong = new MongoClient(url.replace(/:[^:/]+@/, ':wrong@'), quick);
  await t.throwsAsync(wrong.connect(), { message: /Authentication failed/ });
  await using plain = new MongoClient(url.replace(/&tls=.*$/, ''), quick);
  await t.throwsAsync(plain.connect());
});

test.serial('a service publishes its own subjects alone', async (t) => {
  const { natsCa: caFile } = cluster.endpoints;
  for (const name of serviceNames) {
    const url = cluster.natsUrlOf(name);
    const connection = await connect({ ...natsOptions({ url, caFile }), reconnect: false });
    for (const other of serviceNames.filter((each) => each !== name)) {
      const refused = Promise.withResolvers<unknown>();
      const watch = async () => {
        for await (const { permissionContext } of connection.status()) {
          if (permissionContext) refused.resolve(permissionContext);
        }
      };
      watch().catch(refused.reject);
      connection.publish(`silo.v1.${other}.forged.1`, '{}');
      const subject = `silo.v1.${other}.forged.1`;
      t.like(await refused.promise, { operation: 'publish', subject });
    }
    await connection.close();
  }
});

test.serial('the certificate of NATS opens no internal port; that of a service does', async (t) => {
  const { internal } = cluster.endpoints.services.org;
  const request = { organizationId: 'org_us_none' };
  const callWith = async (name: string) => {
    using channel = createChannel(internal, cluster.certificate(name));
    const client = connectClient(FactServiceClient, channel, { refusals: true });
    return await client.getOrganizationFact(request);
  };
  await t.throwsAsync(callWith('server-nats'), { message: /requires a client certificate/ });
  t.truthy(await callWith('service-project'));
});
