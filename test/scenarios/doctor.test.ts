/** Causes each finding of `silo doctor` in a running deployment. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Deployment } from '@silo/doctor/deployment.ts';
import { findingsIn } from '@silo/doctor/findings.ts';
import { lookAt } from '@silo/doctor/look.ts';
import { issueCertificate, openCertificateAuthority } from '@silo/embedded/certificates.ts';
import { startNatsServer } from '@silo/embedded/nats-server.ts';
import { freePort } from '@silo/embedded/ports.ts';
import { startProcess } from '@silo/embedded/processes.ts';
import { ensureStream } from '@silo/events/stream.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { startServer } from '@silo/rpc/server.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import type { ExecutionContext } from 'ava';
import { AckPolicy } from 'nats';
import { certificate } from '../harness/certificates.ts';
import { emptyHome } from '../harness/cli.ts';
import { required } from '../harness/environment.ts';
import { eventually } from '../harness/eventually.ts';
import { connectToNats, managerOf } from '../harness/patient-nats.ts';
import { RestartableServer } from '../harness/restartable-server.ts';
import { startTestSilo, type TestSilo } from '../harness/silo.ts';
import { type ScenarioContext, scenarios } from './support.ts';

// A test kills this server, so it must not be the one that all test files share.
const natsDirectory = await mkdtemp(join(tmpdir(), 'silo-doctor-nats-'));
const nats = await RestartableServer.start((port) =>
  startNatsServer({ binary: required('NATS_SERVER_BINARY'), directory: natsDirectory, port }),
);

const test = scenarios(() => startTestSilo({ natsUrl: nats.url }));
test.after.always(async () => {
  await nats[Symbol.asyncDispose]();
  await rm(natsDirectory, { recursive: true, force: true });
});

function deploymentOf(silo: TestSilo): Deployment {
  const { addresses } = silo;
  return {
    addresses: {
      org: addresses.org.internal,
      project: addresses.project.internal,
      token: addresses.token.internal,
      billing: addresses.billing.internal,
    },
    tls: certificate('staff-operator'),
    mongodb: { url: required('MONGODB_URL'), databasePrefix: silo.databasePrefix },
    nats: { url: silo.natsUrl },
    stream: { name: silo.natsStream, subjectPrefix: silo.natsSubjectPrefix },
    regions: new Map(),
  };
}

/** The findings of the doctor, each as `name: where what`. */
async function found(deployment: Deployment, now?: () => number): Promise<string[]> {
  const findings = findingsIn(await lookAt(deployment, now));
  return findings.map(({ name, where, what }) => `${name}: ${where} ${what}`);
}

/** Throws if the findings are not the expected ones. */
type Expected = (names: string[]) => void;

/**
 * Waits until the doctor has the expected findings: on a busy machine it may report for a while
 * that something waits or does not answer.
 */
const untilFound = (deployment: Deployment, isExpected: Expected, now?: () => number) =>
  eventually(async () => isExpected(await found(deployment, now)));

const exactly =
  (...expected: (string | RegExp)[]): Expected =>
  (names) => {
    for (const [index, each] of expected.entries()) {
      if (typeof each === 'string') assert.equal(names[index], each, names.join('\n'));
      else assert.match(names[index] ?? '', each, names.join('\n'));
    }
    assert.equal(names.length, expected.length, names.join('\n'));
  };

const includes =
  (expected: RegExp): Expected =>
  (names) =>
    assert.match(names.join('\n'), expected);

/** Waits until the doctor has no findings: the effects of an earlier test have ended. */
const untilHealthy = (deployment: Deployment) => untilFound(deployment, exactly());
test('a deployment in use is healthy, and the command says so and exits with 0', async (t) => {
  const { silo } = t.context;
  await silo.signUp('Ada');
  const deployment = deploymentOf(silo);
  await untilHealthy(deployment);
  const home = await emptyHome(t);
  const { addresses, mongodb, nats, stream, tls } = deployment;
  const environment = {
    ...{ TLS_CA: tls.ca, TLS_CERT: tls.cert, TLS_KEY: tls.key },
    ...{ MONGODB_URL: mongodb.url ?? '', MONGODB_DATABASE_PREFIX: mongodb.databasePrefix },
    ...{ NATS_URL: nats.url, NATS_STREAM: stream.name, NATS_SUBJECT_PREFIX: stream.subjectPrefix },
    ...{ ORG_INTERNAL_ADDRESS: addresses.org, PROJECT_INTERNAL_ADDRESS: addresses.project },
    ...{ TOKEN_INTERNAL_ADDRESS: addresses.token, BILLING_INTERNAL_ADDRESS: addresses.billing },
  };
  const healthy = await eventually(async () => {
    const outcome = await home.run(['doctor'], { environment });
    assert.equal(outcome.code, 0, outcome.output + outcome.errors);
    return outcome;
  });
  t.regex(healthy.output, /^Healthy: 4 of 4 processes, \d+ certificates, MongoDB \d.*, NATS \d/);

  await silo.mongo.db(`${silo.databasePrefix}_org`).collection('invites').dropIndexes();
  const json = await home.run(['doctor', '--json'], { environment });
  t.is(json.code, 8, json.errors);
  const { healthy: isHealthy, findings } = JSON.parse(json.output);
  t.false(isHealthy);
  const missing = findings.find(({ name }: { name: string }) => name === 'index-missing');
  t.like(missing, { where: 'database of org' });
  const text = await home.run(['doctor'], { environment });
  t.regex(
    text.output,
    /database of org: .*codeHash.*\(index-missing\)\n {2}why it matters: .*\n {2}what/,
  );
  const undescribed = await home.run(['doctor'], { environment: { ...environment, TLS_KEY: '' } });
  t.is(undescribed.code, 2);
  t.regex(undescribed.errors, /TLS_KEY is not set/);

  // The remedy: a replica that starts creates them.
  await silo.stop('org');
  await untilFound(deployment, includes(/process-unreachable: org at .* does not answer/));
  await silo.start('org');
  await untilHealthy(deployment);
});

test('a saga, an event or a publication that waits is found in the database', async (t) => {
  const { silo } = t.context;
  const deployment = deploymentOf(silo);
  const billing = silo.mongo.db(`${silo.databasePrefix}_billing`);
  const token = silo.mongo.db(`${silo.databasePrefix}_token`);
  const earlier = new Date(Date.now() - 90_000);
  const later = new Date(Date.now() + 600_000);
  await billing.collection<{ _id: string }>('sagas').insertOne({
    ...{ _id: 'stuck', kind: 'unknown-kind', state: 'begun', open: true },
    ...{ owner: 'somebody', ownerUntil: later, updateTime: earlier },
  } as { _id: string });
  const stuck = /^saga-stuck: database of billing one saga of unknown-kind at begun, .* s$/;
  await untilFound(deployment, exactly(stuck));
  await billing.collection<{ _id: string }>('sagas').deleteOne({ _id: 'stuck' });

  // As if no relay had published the last event of token for a while.
  const relays = token.collection<{ _id: string; sequence: number }>('relays');
  const log = token.collection<{ _id: string; sequence: number }>('log');
  const events = token.collection<{ _id: number; time: Date }>('events');
  const noted = await relays.findOne({ _id: 'nats' });
  const sequence = (await log.findOne({ _id: 'log' }))?.sequence ?? 0;
  const event = await events.findOne({ _id: sequence as never });
  t.truthy(noted && event);
  await relays.updateOne({ _id: 'nats' }, { $set: { sequence: sequence - 1 } });
  await events.updateOne({ _id: event?._id as never }, { $set: { time: earlier } });
  await untilFound(deployment, includes(/^relay-lags: database of token one event is not on/m));
  await relays.updateOne({ _id: 'nats' }, { $set: { sequence } });
  await events.updateOne({ _id: event?._id as never }, { $set: { time: event?.time ?? earlier } });

  // A database whose service does not run, so that waiting events are not sequenced.
  const databasePrefix = `${silo.databasePrefix}_lone`;
  const lone = silo.mongo.db(`${databasePrefix}_org`);
  t.teardown(() => lone.dropDatabase());
  const named = (_id: string) => ({ _id: _id as never });
  await lone.collection('log').insertOne({ ...named('log'), sequence: 0, incarnation: 'lone' });
  await lone.collection('outbox').insertOne({ time: earlier });
  const waits = /^events-unsequenced: database of org an event has waited/;
  const notSetUp = /^database-not-set-up: /;
  await untilFound(
    { ...deployment, mongodb: { ...deployment.mongodb, databasePrefix } },
    exactly(waits, notSetUp, notSetUp, notSetUp),
  );
  await untilHealthy(deployment);
});

test('a missing stream and a changed configuration are found', async (t) => {
  const deployment = deploymentOf(t.context.silo);
  const other = { ...deployment, stream: { ...deployment.stream, name: 'NO_SUCH_STREAM' } };
  await untilFound(other, exactly('stream-missing: NATS has no such stream'));
  const connection = await connectToNats(deployment.nats);
  t.teardown(() => connection.close());
  const manager = await managerOf(connection);
  const { name } = deployment.stream;
  const { config } = await manager.streams.info(name);
  await manager.streams.update(name, { ...config, max_age: 3_600_000_000_000 });
  await untilFound(deployment, includes(/^stream-drifted: NATS max_age .* 3600000000000, not/m));
  await manager.streams.update(name, config);
  await untilHealthy(deployment);

  const lagging = { name: 'LAGGING', subjectPrefix: 'lagging.v1' };
  await ensureStream(manager, lagging);
  await manager.consumers.add(lagging.name, {
    durable_name: 'crm',
    ack_policy: AckPolicy.Explicit,
  });
  for (let count = 0; count < 10_002; count++) connection.publish('lagging.v1.event');
  await untilFound(
    { ...deployment, stream: lagging },
    exactly('subscriber-lags: NATS 10002 events wait for consumer crm'),
  );
  t.true(await manager.streams.delete(lagging.name));
});

test('wrong settings of mongod are found, and a user without the right to read them', async (t) => {
  const { silo } = t.context;
  const deployment = deploymentOf(silo);
  const admin = silo.mongo.db('admin');
  const parameter = 'transactionLifetimeLimitSeconds';
  const set = (seconds: number) => admin.command({ setParameter: 1, [parameter]: seconds });
  const { [parameter]: usual } = await admin.command({ getParameter: 1, [parameter]: 1 });
  await set(11);
  const lifetime = `mongodb-transaction-lifetime: MongoDB ${parameter} is 11`;
  await untilFound(deployment, exactly(lifetime)).finally(() => set(usual));
  const { slowms } = await admin.command({ profile: -1 });
  await admin.command({ profile: 0, slowms: 100_000 });
  const slow = exactly('mongodb-logs-documents: MongoDB slowms is 100000');
  const reset = () => admin.command({ profile: 0, slowms });
  await untilFound(deployment, slow).finally(reset);
  const user = `reader-${silo.databasePrefix}`;
  const db = `${silo.databasePrefix}_org`;
  await admin.command({ createUser: user, pwd: 'reads', roles: [{ role: 'read', db }] });
  t.teardown(() => admin.command({ dropUser: user }));
  const url = new URL(deployment.mongodb.url ?? '');
  Object.assign(url, { username: user, password: 'reads' });
  const little = { ...deployment, mongodb: { ...deployment.mongodb, url: url.href } };
  const unseen = /^database-unseen: /;
  await untilFound(little, exactly(/^mongodb-settings-unseen: /, unseen, unseen, unseen));
  await untilHealthy(deployment);
  t.pass();
});

test('a certificate that ends in two days, and a clock that is an hour wrong, are found', async (t) => {
  const deployment = deploymentOf(t.context.silo);
  const directory = await mkdtemp(join(tmpdir(), 'silo-doctor-'));
  t.teardown(() => rm(directory, { recursive: true }));
  const authority = await openCertificateAuthority(directory, { region: 'us' });
  const yearAgo = () => Date.now() - 363 * 24 * 60 * 60 * 1_000;
  const brief = await issueCertificate(authority, { role: 'staff', name: 'brief' }, yearAgo);
  const tls = { ...deployment.tls, cert: brief.certificate, key: brief.key };
  const expires = /^certificate-expires: .*TLS_CERT.* ends in \d+ hours/;
  // The certificate is also of another CA.
  const unreachable = Array<RegExp>(4).fill(/^process-unreachable: /);
  await untilFound({ ...deployment, tls }, exactly(...unreachable, expires));

  const anHourAgo = () => Date.now() - 60 * 60 * 1_000;
  const skewed = /^clock-skew: this machine its clock is (59|60) minutes slow$/;
  await untilFound(deployment, exactly(skewed), anHourAgo);
  t.pass();
});

test('a process that cannot serve is found, with the effects on its guard and its consumers', async (t) => {
  const { silo } = t.context;
  const deployment = deploymentOf(silo);
  await silo.stop('token');
  await eventually(async () => {
    const names = await found(deployment);
    for (const service of ['org', 'project', 'billing']) {
      assert.ok(names.some((each) => each.startsWith(`guard-without-lease: ${service} at`)));
    }
    assert.ok(names.some((each) => each.startsWith('activity-stalled: org at')));
    assert.ok(names.some((each) => each.startsWith('process-unreachable: token at')));
  });
  // A port whose service has no connection to MongoDB yet.
  const starting = await startServer({
    ...{ address: '127.0.0.1:0', tls: certificate('service-token'), internal: true, services: [] },
    ...{ region: 'us', access: undefined as never, log: silentLogger() },
  });
  const addresses = { ...deployment.addresses, token: starting.address };
  const notServing = `process-not-serving: token at ${starting.address}`;
  await untilFound({ ...deployment, addresses }, (names) =>
    assert.ok(names.some((each) => each.startsWith(notServing))),
  );
  await starting.drain(0);
  await silo.start('token');
  await untilHealthy(deployment);
  t.pass();
});

test('servers that do not answer are found, with the effects of a missing NATS on the services', async (t) => {
  const deployment = deploymentOf(t.context.silo);
  const mongodb = { ...deployment.mongodb, url: 'mongodb://127.0.0.1:1/' };
  await untilFound({ ...deployment, mongodb }, exactly(/^mongodb-unreachable: /));
  await nats.kill();
  await eventually(async () => {
    const names = (await found(deployment)).map(nameOf);
    assert.equal(names.filter((each) => each === 'nats-not-connected').length, 4);
    assert.equal(names.filter((each) => each === 'relay-stalled').length, 4);
    assert.equal(names.at(-1), 'nats-unreachable');
  });
  await nats.start();
  await untilHealthy(deployment);
  t.pass();
});

test('a region that does not answer, a wrong region, and a failed migration are found', async (t) => {
  const { silo } = t.context;
  const deployment = deploymentOf(silo);
  // Knows no staff of this deployment, like the server of another region.
  const foreign = await startServer({
    ...{
      address: '127.0.0.1:0',
      tls: certificate('service-project'),
      internal: true,
      services: [],
    },
    ...{ region: 'eu', access: undefined as never, log: silentLogger() },
  });
  t.teardown(() => foreign[Symbol.asyncDispose]());
  const address = `127.0.0.1:${await freePort()}`;
  const looksAt = (region: string, at: string, isExpected: Expected) =>
    untilFound({ ...deployment, regions: new Map([[region, at]]) }, isExpected);
  await looksAt('us', foreign.address, exactly());
  const silent = /^region-unreachable: the region eu at \S+ does not answer: /m;
  await looksAt('eu', address, includes(silent));
  const wrong = /^region-unreachable: .*the server is not eu\/service\/project/m;
  await looksAt('eu', silo.addresses.project.internal, includes(wrong));
  const records = silo.mongo.db(`${silo.databasePrefix}_project`).collection('project_migrations');
  const state = MigrationState.MIGRATION_STATE_FAILED;
  const failure = 'The other region does not answer.';
  const record = { side: 'destination', isOpen: true, projectId: 'prj_1', state, failure };
  await records.insertOne({ ...record, _id: 'mig_eu_1' as never });
  const givenUp = `the migration mig_eu_1 was given up: ${failure}`;
  await untilFound(deployment, exactly(`migration-failed: database of project ${givenUp}`));
  const { deletedCount } = await records.deleteOne({ _id: 'mig_eu_1' as never });
  t.is(deletedCount, 1);
});

test('servers without any configuration are found', async (t) => {
  const deployment = deploymentOf(t.context.silo);
  const [natsPort, mongodPort] = [await freePort(), await freePort()];
  const directory = await mkdtemp(join(tmpdir(), 'silo-doctor-plain-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const place = (name: string) => join(directory, name);
  await writeFile(place('nats.conf'), `listen: "127.0.0.1:${natsPort}"\nmax_payload: 65536\n`);
  await mkdir(place('data'));
  await start(t, place('nats'), required('NATS_SERVER_BINARY'), ['-c', place('nats.conf')]);
  await start(t, place('mongod'), required('MONGOD_BINARY'), [
    ...['--dbpath', place('data'), '--bind_ip', '127.0.0.1', '--port', String(mongodPort)],
  ]);
  const plain = {
    ...deployment,
    mongodb: { ...deployment.mongodb, url: `mongodb://127.0.0.1:${mongodPort}/` },
    nats: { url: `nats://127.0.0.1:${natsPort}` },
  };
  const names = [
    'mongodb-without-authentication',
    'mongodb-standalone',
    'mongodb-transaction-lifetime',
    'mongodb-logs-documents',
    ...Array<string>(4).fill('database-not-set-up'),
    ...['nats-without-authentication', 'nats-payload', 'stream-missing'],
  ];
  // At first the servers may not answer.
  await untilFound(plain, (all) => assert.deepEqual(all.map(nameOf), names));
  t.pass();
});

/** Starts a server that ends with the test. */
async function start(
  t: ExecutionContext<ScenarioContext>,
  directory: string,
  command: string,
  args: string[],
): Promise<void> {
  const name = basename(directory);
  const logFile = join(directory, 'log');
  const started = await startProcess({ name, command, args, directory, logFile });
  t.teardown(() => started.stop({ force: true }));
}

function nameOf(found: string): string {
  return found.slice(0, found.indexOf(':'));
}
