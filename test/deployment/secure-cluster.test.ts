/** docker-compose.yml as processes: its configuration, secrets, users and commands. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { issueCertificate, openCertificateAuthority } from '@silo/embedded/certificates.ts';
import { endpointsFile } from '@silo/embedded/endpoints.ts';
import { FactServiceClient } from '@silo/protos/gen/silo/org/internal/v1/fact_service.ts';
import { connect as connectClient, createChannel } from '@silo/rpc/client.ts';
import { serviceNames } from '@silo/service/config.ts';
import test from 'ava';
import { MongoClient } from 'mongodb';
import { run } from '../harness/command.ts';
import { required } from '../harness/environment.ts';
import { eventually, untilInTime } from '../harness/eventually.ts';
import { connectToNats } from '../harness/patient-nats.ts';
import { quickestPlace } from '../harness/quickest-place.ts';
import { type SecureCluster, startSecureCluster } from './secure-cluster.ts';

const root = join(import.meta.dirname, '..', '..');
const dayMs = 24 * 60 * 60 * 1_000;
const yearMs = 365 * dayMs;
let directory: string;
let cluster: SecureCluster;

test.before(async (t) => {
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
  const environment = { ...process.env, SILO_DIRECTORY: directory };
  const { stdout } = await promisify(execFile)(process.execPath, ['test/demo/demo.ts'], {
    ...{ cwd: root, env: environment, timeout: 30 * 60_000 },
  });
  t.true(stdout.includes(`Using the Silo that runs in ${directory}`), stdout);
  t.regex(stdout, /That is the whole story/);
});

test.serial('the operator of compose finds the deployment healthy', async (t) => {
  // Certificates of five processes, four servers, the CA and the operator.
  const healthy = /Healthy: 5 of 5 processes, 11 certificates/;
  const doctor = [join(root, 'libs/cli/silo.mjs'), 'doctor', '--endpoints'];
  for (const look of [
    () => cluster.run('operator'),
    () => run(process.execPath, [...doctor, endpointsFile(directory)]),
  ]) {
    const { code, output } = await untilInTime(look, isLate);
    t.is(code, 0, output);
    t.regex(output, healthy);
  }
});

/** Whether the only findings are of parts that did not answer in time, as on a busy machine. */
function isLate({ output }: { output: string }): boolean {
  const names = [...output.matchAll(/ \(([a-z-]+)\)$/gm)].map(([, name = '']) => name);
  return names.length > 0 && names.every((name) => name.endsWith('-unreachable'));
}

test.serial('a service can access only its own database, with its password and TLS', async (t) => {
  for (const name of serviceNames) {
    await using client = new MongoClient(cluster.mongodbUrlOf(name));
    await client.db(`silo_${name}`).collection('events').findOne({});
    for (const other of serviceNames.filter((each) => each !== name)) {
      const foreign = client.db(`silo_${other}`).collection('events').findOne({});
      await t.throwsAsync(foreign, { code: 13 }, `${name} reads the database of ${other}`);
    }
  }
  const url = cluster.mongodbUrlOf('org');
  const patient = { serverSelectionTimeoutMS: 60_000 };
  await using wrong = new MongoClient(url.replace(/:[^:/]+@/, ':wrong@'), patient);
  await t.throwsAsync(wrong.connect(), { message: /Authentication failed/ });
  const quick = { serverSelectionTimeoutMS: 2_000 };
  await using plain = new MongoClient(url.replace(/&tls=.*$/, ''), quick);
  await t.throwsAsync(plain.connect());
});

test.serial('a service can publish only on its own subjects', async (t) => {
  const { natsCa: caFile } = cluster.endpoints;
  for (const name of serviceNames) {
    const url = cluster.natsUrlOf(name);
    const connection = await connectToNats({ url, caFile }, { reconnect: false });
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

test.serial(
  'an internal port refuses the certificate of NATS, and accepts that of a service',
  async (t) => {
    const { internal } = cluster.endpoints.services.org;
    const request = { organizationId: 'org_us_none' };
    const callWith = async (name: string) => {
      using channel = createChannel(internal, cluster.certificate(name));
      const client = connectClient(FactServiceClient, channel, { refusals: true });
      return await client.getOrganizationFact(request);
    };
    await t.throwsAsync(callWith('server-nats'), { message: /requires a client certificate/ });
    t.truthy(await callWith('service-project'));
  },
);

test.serial(
  'the operator finds certificates that end soon, and servers that have stopped',
  async (t) => {
    const authority = await openCertificateAuthority(join(directory, 'secrets', 'certificates'), {
      region: 'us',
      renewBeforeMs: 3 * yearMs,
    });
    // Replaces certificates by ones that end in two days.
    const almostYearAgo = () => Date.now() - yearMs + 2 * dayMs;
    const issue = (name: string) =>
      issueCertificate(authority, { role: 'server', name, hosts: [name] }, almostYearAgo);
    await issue('nats');
    cluster.processes.get('nats')?.kill('SIGHUP');
    const { certificate, key } = await issue('mongodb-2');
    const both = (await readFile(certificate, 'utf8')) + (await readFile(key, 'utf8'));
    await writeFile(certificate.replace(/\.pem$/, '.both.pem'), both);
    const [, rotated, killed] =
      /@([^/]+)/.exec(cluster.mongodbUrlOf('admin'))?.[1]?.split(',') ?? [];
    await rotateCertificates(rotated ?? '');
    for (const name of ['edge', 'mongodb-3'])
      await cluster.processes.get(name)?.stop({ force: true });
    await eventually(async () => {
      const { code, output } = await cluster.run('operator');
      assert.equal(code, 8, output);
      for (const line of [
        `the certificate of MongoDB at ${rotated}: ends in 47 hours`,
        'the certificate of NATS at 127.0.0.1:',
        '(process-unreachable)',
        `MongoDB: its member ${killed} is (not reachable/healthy) (mongodb-member-unhealthy)`,
        '4 findings; looked at 4 of 5 processes',
      ]) {
        assert.ok(output.includes(line), output);
      }
    });
    t.pass();
  },
);

/** Makes a member of the replica set read its files again. */
async function rotateCertificates(member: string): Promise<void> {
  const url = new URL(cluster.mongodbUrlOf('admin').replace(/@[^/]+/, `@${member}`));
  url.searchParams.delete('replicaSet');
  url.searchParams.set('directConnection', 'true');
  await using client = new MongoClient(url.href);
  await client.db('admin').command({ rotateCertificates: 1 });
}
